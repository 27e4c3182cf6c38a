"""The list of jobs, and the page of one."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from hosting.compat import TaskError
from hosting.dashboard import places, search
from hosting.dashboard.filters import Filter
from hosting.ids import uuid7_at
from hosting.models import Job, JobResult, JobState
from hosting.queues.stores import store_for
from tests.dashboard.conftest import shown
from tests.dashboard.making import (
    ended,
    enqueue,
    failed,
    failed_once,
    in_state,
    running,
    waiting,
)
from tests.queues import tasks

pytestmark = pytest.mark.django_db

LIST = reverse("admin:hosting_job_changelist")


def page_of(job: UUID) -> str:
    return reverse("admin:hosting_job_change", args=[job])


def ask(client: Client, **query: object) -> Any:
    return client.get(f"{LIST}?{urlencode(query)}")


def listed(response: Any) -> list[UUID]:
    """The jobs of the list, in its order."""
    assert response.status_code == 200
    return [UUID(found) for found in re.findall(r'<tr id="job-([^"]+)"', response.content.decode())]


def walk(client: Client, response: Any) -> list[UUID]:
    """The jobs of this page and of all that follow."""
    found = listed(response)
    while older := re.search(r'href="([^"]+)" rel="next"', response.content.decode()):
        response = client.get(LIST + older[1].replace("&amp;", "&"))
        found += listed(response)
    return found


@pytest.fixture
def one_of_each(db: None) -> dict[str, UUID]:
    return {
        "successful": ended("s"),
        "failed": failed("f"),
        "running": running("r"),
        "ready": enqueue("e"),
        "waiting": waiting("w"),
        "blocked": in_state(JobState.BLOCKED, "b"),
        "held": in_state(JobState.HELD, "h"),
    }


class TestList:
    def test_all_jobs_are_listed_newest_first(
        self, client: Client, one_of_each: dict[str, UUID]
    ) -> None:
        assert listed(ask(client)) == sorted(one_of_each.values(), reverse=True)

    def test_each_state_is_counted_and_can_be_chosen(
        self, client: Client, one_of_each: dict[str, UUID]
    ) -> None:
        extra = enqueue("another")
        for state, job in one_of_each.items():
            response = ask(client, state=state)
            expected = [extra, job] if state == "ready" else [job]
            assert listed(response) == expected
            if state != "successful":
                assert f"{state.capitalize()} {len(expected)} " in shown(response)

    def test_a_state_with_many_jobs_is_searched_too(
        self, client: Client, one_of_each: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(search, "FEW", 0)
        for state, job in one_of_each.items():
            assert listed(ask(client, state=state)) == [job]

    def test_queue_task_and_backend_are_filters(self, client: Client) -> None:
        other = enqueue(1, task=tasks.add.using(queue_name="mail"))
        done = ended(1, task=tasks.add)
        enqueue("x")
        assert listed(ask(client, queue="mail")) == [other]
        assert listed(ask(client, task="tests.queues.tasks.add")) == [done, other]
        assert listed(ask(client, backend="default", queue="mail")) == [other]
        assert listed(ask(client, backend="none")) == []

    def test_age_is_a_filter(self, client: Client) -> None:
        young = enqueue("young")
        old = uuid7_at((timezone.now() - timedelta(hours=2)).timestamp())
        Job.objects.filter(pk=enqueue("old")).update(id=old)
        assert listed(ask(client, age="1h")) == [young]
        assert listed(ask(client, age="1d")) == [young, old]

    def test_a_path_and_an_argument_are_found(self, client: Client) -> None:
        job = enqueue({"address": "ada@example.org"})
        ended("other")
        assert listed(ask(client, q="ADA@example")) == [job]
        assert len(listed(ask(client, q="tasks.NOTE"))) == 2
        assert listed(ask(client, q="nowhere")) == []

    def test_an_id_leads_to_its_job(self, client: Client) -> None:
        job = ended()
        for text in (str(job), f" {job.hex} "):
            response = ask(client, q=text)
            assert (response.status_code, response.headers["Location"]) == (302, page_of(job))
        assert listed(ask(client, q=uuid4())) == []

    def test_pages_follow_each_other_without_a_gap(self, client: Client) -> None:
        jobs = [ended() if number % 3 else enqueue() for number in range(130)]
        assert walk(client, ask(client)) == sorted(jobs, reverse=True)
        assert len(listed(ask(client, size=200))) == 130

    def test_a_search_stops_and_goes_on_where_it_has_stopped(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = [enqueue("needle")]
        for number in range(12):
            wanted += [ended("needle")] if number == 2 else []
            ended("hay")
        monkeypatch.setattr(search, "WINDOW", 5)
        first = ask(client, q="needle")
        # One is in a table that was searched to its end, but there may be newer ones in the other.
        assert listed(first) == []
        assert "The search has stopped" in shown(first)
        assert walk(client, first) == wanted[::-1]

    @pytest.mark.parametrize("state", ["", "ready", "successful"])
    def test_a_search_tells_in_no_way_of_what_it_may_not_show(self, state: str) -> None:
        make, rows = (enqueue, Job) if state == "ready" else (ended, JobResult)
        shown_ones = [make("needle") for _ in range(3)]
        hidden = [make("needle") for _ in range(20)]
        rows.objects.filter(pk__in=hidden).update(task_path="gone.tasks.hush")
        wanted = Filter(state=state, text="needle", size=2)
        for few in (search.FEW, 1):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(search, "FEW", few)
                found = search.find(store_for("default"), wanted)
            # As many as if the others had something else in their arguments.
            assert [row.id for row in found.rows] == shown_ones[:0:-1]
            assert (found.next, found.has_more) == (shown_ones[1], True)
        rows.objects.filter(pk__in=shown_ones).delete()
        assert search.find(store_for("default"), wanted) == search.Found([])

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ({"state": "odd"}, "state is 'odd', allowed: 'waiting', 'blocked'"),
            ({"age": "2y"}, "age is '2y', allowed: '5m', '1h', '1d', '7d'"),
            ({"before": "x"}, "before is 'x', allowed: the id of a job"),
            ({"size": "9"}, "size is '9', allowed: '50', '200'"),
        ],
    )
    def test_what_cannot_be_asked_is_said(
        self, client: Client, query: dict[str, str], words: str
    ) -> None:
        text = ask(client, **query).content.decode().replace("&#x27;", "'")
        assert words in text

    def test_odd_texts_are_no_error(self, client: Client) -> None:
        for text in ("\0", "%", "'; --", "é" * 600):
            assert listed(ask(client, q=text, queue=text, task=text, database=text)) == []

    def test_a_page_that_asks_again_gets_what_changes_alone(self, client: Client) -> None:
        job = enqueue()
        response = client.get(LIST, headers={"X-Hosting-Live": "1"})
        assert listed(response) == [job]
        assert "<html" not in response.content.decode()
        assert "X-Hosting-Live" in response.headers["Vary"]


def test_links_stay_in_their_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    job, queues = enqueue("a"), reverse("admin:hosting_pausedqueue_changelist")
    assert "database=" not in client.get(page_of(job)).content.decode()
    store = store_for("default")
    monkeypatch.setattr(places, "known_stores", lambda: {"other": store, "default": store})
    for page in (page_of(job), f"{queues}?database=default"):
        addresses = re.findall(rf'"({LIST}\?[^"]*)"', client.get(page).content.decode())
        assert addresses
        assert all(each.endswith("database=default") for each in addresses), addresses
    found = ask(client, q="x", state="ready", database="default").content.decode()
    assert '<a href="?state=ready&amp;database=default">Clear</a>' in found


class TestJob:
    def test_a_job_that_succeeded(self, client: Client) -> None:
        text = shown(client.get(page_of(ended("the argument"))))
        for words in ("the argument", "&quot;done&quot;", "First attempt", "Finished", "host:1:ab"):
            assert words in text

    def test_a_job_that_failed_tells_of_each_attempt(self, client: Client) -> None:
        text = client.get(page_of(failed())).content.decode()
        assert "OSError: no &lt;b&gt;" in text
        assert "no <b>" not in text

    def test_a_job_that_waits_for_its_next_attempt(self, client: Client) -> None:
        text = shown(client.get(page_of(failed_once())))
        assert "Failed attempts" in text
        assert re.search(r"Due in (59 min|1 h)", text)
        assert "Failures that count 1" in text

    def test_every_state_has_a_page(self, client: Client, one_of_each: dict[str, UUID]) -> None:
        for state, job in one_of_each.items():
            assert f"tests.queues.tasks.note {state} queue default" in shown(
                client.get(page_of(job))
            )

    def test_an_unknown_job_is_not_found(self, client: Client) -> None:
        assert client.get(page_of(uuid4())).status_code == 404

    def test_a_damaged_row_has_a_page(self, client: Client) -> None:
        job = ended()
        JobResult.objects.filter(pk=job).update(args="{", errors="[3]")
        text = shown(client.get(page_of(job)))
        assert "This row is damaged: args:" in text

    def test_nothing_is_shown_of_the_arguments_of_an_unknown_task(self, client: Client) -> None:
        job = ended("the secret")
        JobResult.objects.filter(pk=job).update(task_path="gone.tasks.task")
        assert "the secret" not in shown(client.get(page_of(job)))
        assert listed(ask(client, q="the secret")) == []

    def test_halves_of_surrogate_pairs_are_shown_as_escapes(self, client: Client) -> None:
        broken = TaskError(exception_class_path="builtins.OSError", traceback="no \udcff.txt")
        page = shown(client.get(page_of(ended("\ud83d", error=broken))))
        assert "\\ud83d" in page
        assert "no \\udcff.txt" in page

    def test_a_job_in_no_state_has_a_page(self, client: Client) -> None:
        job = enqueue()
        Job.objects.filter(pk=job).update(state="")
        assert "This row is damaged: status" in shown(client.get(page_of(job)))

    def test_html_is_text(self, client: Client) -> None:
        evil = "<script>alert(1)</script>"
        job = ended(evil, {evil: evil})
        JobResult.objects.filter(pk=job).update(
            queue_name=evil, progress=evil, worker_ids=f'["{evil}"]'
        )
        for response in (ask(client), client.get(page_of(job))):
            assert "<script>alert" not in response.content.decode()
            assert "&lt;script&gt;alert" in response.content.decode()
