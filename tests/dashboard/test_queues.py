"""The page of queues."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import path, reverse
from django.utils import timezone

from hosting.dashboard import traffic
from hosting.dashboard.queues import QueuePage
from hosting.dashboard.traffic import SPANS
from hosting.ids import uuid7_at
from hosting.models import Job, JobResult, JobState, PausedQueue
from hosting.queues.stores import store_for
from tests.dashboard.conftest import shown, told
from tests.dashboard.making import ended, enqueue, failed, in_state, running, waiting
from tests.queues import tasks

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:hosting_pausedqueue_changelist")
ACT = reverse("admin:hosting_pausedqueue_act")

lone = admin.AdminSite("lone")
lone.register(PausedQueue, QueuePage)
urlpatterns = [path("lone/", lone.urls), path("admin/", admin.site.urls)]


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    traffic._kept.clear()
    yield
    traffic._kept.clear()


def row(client: Client, queue: str) -> list[str]:
    """The cells of a queue: its name, the age of the oldest, then how many are in which state."""
    page = client.get(PAGE).content.decode()
    [found] = re.findall(rf'<tr id="queue-default-{queue}-\d+">(.*?)</tr>', page, re.DOTALL)
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", found, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in cells]


def act(client: Client, action: str, queue: str, **data: str) -> Any:
    values = {"action": action, "queue": queue, "backend": "default", **data}
    return client.post(ACT, values, follow=True)


def test_each_state_of_each_queue_is_counted(client: Client) -> None:
    for make in (enqueue, enqueue, running, waiting, waiting, ended):
        make()
    in_state(JobState.BLOCKED)
    in_state(JobState.HELD)
    enqueue(task=tasks.note.using(queue_name="mail"))
    assert row(client, "default")[2:7] == ["2", "1", "2", "1", "1"]
    assert row(client, "mail")[2:7] == ["1", "0", "0", "0", "0"]


def test_the_oldest_job_is_told_of_whatever_its_priority(client: Client) -> None:
    for priority, minutes in ((50, 1), (0, 90), (-50, 5)):
        job = enqueue(task=tasks.note.using(priority=priority))
        due = timezone.now() - timedelta(minutes=minutes, seconds=1)
        Job.objects.filter(pk=job).update(due_at=due)
    assert row(client, "default")[1] == "1 h ago"


def test_counting_has_a_bound(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hosting.dashboard.counts.count.__defaults__", (2,))
    for _ in range(4):
        enqueue()
    assert row(client, "default")[2] == "2+"


def test_queues_are_paused_and_resumed(client: Client) -> None:
    enqueue()
    assert told(act(client, "pause", "default")) == ["Paused: default."]
    assert "paused" in row(client, "default")[0]
    assert row(client, "default")[-1] == "Resume"
    assert told(act(client, "pause", "default")) == ["default was paused already."]
    assert told(act(client, "resume", "default")) == ["Resumed: default."]
    assert row(client, "default")[-1] == "Pause"
    entries = [entry.get_change_message() for entry in LogEntry.objects.order_by("id")]
    assert entries == ["Paused in the dashboard.", "Resumed in the dashboard."]
    assert "root Resumed in the dashboard. default (default)" in shown(client.get(PAGE))
    assert "default (default)" in shown(client.get(reverse("admin:index")))  # recent actions


def test_a_paused_queue_without_jobs_can_be_resumed(client: Client) -> None:
    act(client, "pause", "later")
    assert "paused" in row(client, "later")[0]


@pytest.mark.urls(__name__)
def test_an_admin_may_have_queues_and_no_jobs(client: Client) -> None:
    enqueue()
    page = client.get("/lone/hosting/pausedqueue/")
    assert "default" in shown(page)
    assert "/hosting/job/" not in page.content.decode()


@pytest.mark.parametrize(
    "data", [{"action": "drop"}, {"backend": "none"}, {"queue": ""}, {"queue": "x" * 129}]
)
def test_what_cannot_be_is_refused(client: Client, data: dict[str, str]) -> None:
    values = {"action": "pause", "queue": "q", "backend": "default", **data}
    assert client.post(ACT, values).status_code == 403
    assert not PausedQueue.objects.exists()


class TestPermissions:
    def test_who_may_see_jobs_may_see_queues_and_no_more(
        self, staff: Callable[..., Client]
    ) -> None:
        enqueue()
        reader = staff("view_job")
        assert row(reader, "default")[-1] == "0"
        assert act(reader, "pause", "default").status_code == 403
        assert not PausedQueue.objects.exists()

    def test_who_may_change_jobs_may_pause_queues(self, staff: Callable[..., Client]) -> None:
        assert told(act(staff("change_job"), "pause", "a")) == ["Paused: a."]

    def test_who_may_nothing_sees_nothing(self, staff: Callable[..., Client]) -> None:
        stranger = staff("view_hostprocess")
        assert stranger.get(PAGE).status_code == 403
        assert act(stranger, "pause", "a").status_code == 403

    def test_a_form_of_another_site_is_refused(self, staff: Callable[..., Client]) -> None:
        client = staff("change_job", enforce_csrf_checks=True)
        assert act(client, "pause", "a").status_code == 403
        assert client.get(ACT).status_code == 405
        assert not PausedQueue.objects.exists()


class TestTraffic:
    def test_bars_are_of_the_time_of_enqueueing(self, client: Client) -> None:
        old = uuid7_at((timezone.now() - timedelta(minutes=20)).timestamp())
        JobResult.objects.filter(pk=ended()).update(id=old)
        ended(), failed()
        bars = traffic.traffic(store_for("default"), SPANS[0])
        told_of = [(bar.ended.number, bar.failed) for bar in bars if bar.ended.number]
        assert told_of[0] == (1, 0)
        assert [sum(each) for each in zip(*told_of[1:], strict=True)] == [2, 1]
        words = "3 jobs of the last hour have ended, 1 of them failed."
        assert words in shown(client.get(PAGE))

    def test_waits_and_runs_are_measured(self) -> None:
        job, now = ended(), timezone.now()
        JobResult.objects.filter(pk=job).update(
            enqueued_at=now - timedelta(seconds=10),
            started_at=now - timedelta(seconds=7),
            claimed_at=now - timedelta(seconds=2),
            finished_at=now,
        )
        bars = traffic.traffic(store_for("default"), SPANS[0])
        [bar] = [bar for bar in bars if bar.ended.number]
        assert (bar.waited.longest, bar.ran.median) == pytest.approx((3, 2))

    def test_what_is_beyond_the_budget_follows_the_next_time(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for minutes in (50, 30, 10):
            moment = timezone.now() - timedelta(minutes=minutes)
            JobResult.objects.filter(pk=ended()).update(id=uuid7_at(moment.timestamp()))
        monkeypatch.setattr(traffic, "BUDGET", 2)
        assert ": not counted yet" in client.get(PAGE).content.decode()
        page = client.get(PAGE)
        assert ": not counted yet" not in page.content.decode()
        assert "3 jobs of the last hour have ended" in shown(page)

    def test_a_bar_is_counted_up_to_a_bound(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        width = SPANS[-1].width
        begin = time.time() // width * width
        for number in range(4):
            made = uuid7_at(begin + number)
            JobResult.objects.filter(pk=ended()).update(id=made)
        monkeypatch.setattr(traffic, "BUDGET", 2)
        assert "At least 3 jobs of the last day have ended" in shown(client.get(PAGE))
