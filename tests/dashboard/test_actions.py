"""What is done with jobs from the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from hosting.models import Job, JobResult
from tests.dashboard.conftest import shown, told
from tests.dashboard.making import ended, enqueue, failed, running, state, waiting

pytestmark = pytest.mark.django_db

LIST = reverse("admin:hosting_job_changelist")
ACT = reverse("admin:hosting_job_act")


def act(client: Client, action: str, *jobs: UUID, **data: Any) -> Any:
    return client.post(ACT, {"action": action, "job": jobs, **data}, follow=True)


def log() -> list[tuple[str, str]]:
    """Which objects were changed, and how."""
    entries = LogEntry.objects.order_by("id")
    return [(entry.object_id, entry.get_change_message()) for entry in entries]


def test_a_failed_job_is_retried(client: Client) -> None:
    job = failed()
    assert told(act(client, "retry", job)) == ["Retried: 1."]
    assert state(job) == "ready"
    assert log() == [(str(job), "Retried in the dashboard.")]


def test_a_job_that_waits_is_run_now(client: Client) -> None:
    job = waiting()
    assert told(act(client, "hasten", job)) == ["Due now: 1."]
    assert state(job) == "ready"


def test_jobs_are_cancelled(client: Client) -> None:
    jobs = [enqueue(), waiting(), running()]
    assert told(act(client, "cancel", *jobs)) == ["Cancelled: 3."]
    assert [state(job) for job in jobs] == [None, None, "running"]
    assert Job.objects.get().cancel_requested
    assert len(log()) == 3


def test_jobs_and_results_are_discarded(client: Client) -> None:
    jobs = [enqueue(), ended()]
    act(client, "discard", *jobs)
    assert (Job.objects.count(), JobResult.objects.count()) == (0, 0)
    assert [found for found, _ in log()] == [str(job) for job in sorted(jobs)]


def test_what_an_action_is_not_for_is_left_and_said(client: Client) -> None:
    good, other = failed(), ended()
    [words] = told(act(client, "retry", good, other, uuid4()))
    assert words == "Retried: 1. 2 left as they are: Retry is for jobs that have failed."
    assert log() == [(str(good), "Retried in the dashboard.")]


def test_nothing_and_too_much_are_refused(client: Client) -> None:
    job = failed()
    assert told(act(client, "retry")) == ["0 jobs are chosen, allowed: 1 to 500."]
    many = [job, *(uuid4() for _ in range(500))]
    assert told(act(client, "retry", *many)) == ["501 jobs are chosen, allowed: 1 to 500."]
    assert state(job) is None


def test_the_page_of_a_job_offers_what_can_be_done_with_it(client: Client) -> None:
    offered = {
        failed(): ["retry", "discard"],
        ended(): ["discard"],
        waiting(): ["hasten", "cancel", "discard"],
        running(): ["cancel"],
        enqueue(): ["cancel", "discard"],
    }
    for job, actions in offered.items():
        page = client.get(reverse("admin:hosting_job_change", args=[job]))
        assert [action.name for action in page.context["actions"]] == actions


def test_the_page_of_a_job_says_who_did_what(client: Client) -> None:
    job = failed()
    act(client, "retry", job)
    page = client.get(reverse("admin:hosting_job_change", args=[job]))
    assert "root Retried in the dashboard." in shown(page)


def test_an_action_leads_back_to_where_it_was(client: Client) -> None:
    here = f"{LIST}?state=failed"
    response = client.post(ACT, {"action": "retry", "job": [failed()], "back": here})
    assert response.headers["Location"] == here
    for elsewhere in ("https://example.org/", "//example.org", ""):
        response = client.post(ACT, {"action": "retry", "job": [failed()], "back": elsewhere})
        assert response.headers["Location"] == LIST


class TestPermissions:
    @pytest.mark.parametrize("action", ["retry", "hasten", "cancel", "discard"])
    def test_who_may_look_may_do_nothing(self, staff: Callable[..., Client], action: str) -> None:
        reader, job = staff("view_job"), failed() if action == "retry" else waiting()
        assert reader.get(LIST).status_code == 200
        assert act(reader, action, job).status_code == 403
        assert (Job.objects.count() + JobResult.objects.count(), log()) == (1, [])
        page = shown(reader.get(reverse("admin:hosting_job_change", args=[job])))
        assert "Retry" not in page
        assert "Discard" not in page

    def test_who_may_change_may_not_discard(self, staff: Callable[..., Client]) -> None:
        editor, job = staff("view_job", "change_job"), failed()
        assert act(editor, "discard", job).status_code == 403
        assert told(act(editor, "retry", job)) == ["Retried: 1."]
        eraser = staff("view_job", "delete_job")
        assert act(eraser, "cancel", job).status_code == 403
        assert told(act(eraser, "discard", job)) == ["Discarded: 1."]

    def test_who_may_nothing_sees_nothing(self, staff: Callable[..., Client]) -> None:
        stranger, job = staff(), failed()
        page = reverse("admin:hosting_job_change", args=[job])
        assert [stranger.get(url).status_code for url in (LIST, page)] == [403, 403]
        assert act(stranger, "retry", job).status_code == 403
        assert state(job) is None

    def test_who_is_not_logged_in_is_sent_to_the_login(self) -> None:
        job = failed()
        for response in (
            Client().get(LIST),
            Client().post(ACT, {"action": "retry", "job": [job]}),
        ):
            assert response.status_code == 302
            assert response.headers["Location"].startswith("/admin/login/")
        assert state(job) is None

    def test_a_form_of_another_site_is_refused(self, staff: Callable[..., Client]) -> None:
        client, job = staff("change_job", enforce_csrf_checks=True), failed()
        assert act(client, "retry", job).status_code == 403
        assert state(job) is None
        page = client.get(LIST)
        token = page.context["csrf_token"]
        assert told(act(client, "retry", job, csrfmiddlewaretoken=str(token))) == ["Retried: 1."]

    @pytest.mark.parametrize("action", ["", "delete", "__class__"])
    def test_another_action_is_refused(self, client: Client, action: str) -> None:
        assert act(client, action, failed()).status_code == 403

    def test_looking_changes_nothing(self, client: Client) -> None:
        job = failed()
        assert client.get(ACT, {"action": "retry", "job": job}).status_code == 405
        assert state(job) is None
