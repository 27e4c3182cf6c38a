"""What Prometheus sees of jobs that a worker executes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

import hosting
from hosting.models import Job
from hosting.queues import attendance
from hosting.queues.stores import store_for
from hosting.signals import attempts_settled, round_trip_finished
from tests.observability.conftest import Observed
from tests.queues import tasks
from tests.queues.conftest import RunningWorker, until

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


def outcomes(observed: Observed, task: Any, outcome: str, queue: str = "default") -> float | None:
    path = task if isinstance(task, str) else task.module_path
    return observed.scrape().value("hosting_jobs_total", task=path, queue=queue, outcome=outcome)


def test_attempts_are_counted_by_what_became_of_them(worker: Start, observed: Observed) -> None:
    worker()
    tasks.add.enqueue(1, 2)
    tasks.add.using(queue_name="mail").enqueue(1, 2)
    tasks.aadd.enqueue(1, 2)
    tasks.fail.enqueue()
    until(lambda: observed.scrape().total("hosting_jobs_total") == 4)

    assert outcomes(observed, tasks.add, "successful") == 1
    assert outcomes(observed, tasks.add, "successful", "mail") == 1
    assert outcomes(observed, tasks.aadd, "successful") == 1
    assert outcomes(observed, tasks.fail, "failed") == 1


def test_an_attempt_that_is_repeated_is_counted_apart(
    worker: Start, observed: Observed, settings: Any
) -> None:
    settings.TASKS = {
        "default": {
            "BACKEND": "hosting.queues.DatabaseBackend",
            "QUEUES": [],
            "OPTIONS": {"MAX_ATTEMPTS": 2},
        }
    }
    worker()
    tasks.fail_at_first.enqueue()
    until(lambda: outcomes(observed, tasks.fail_at_first, "retried") == 1)


def test_what_is_cancelled_and_handed_back_is_told_apart(
    worker: Start, observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "ATTENDANCE", 0.02)
    cancelled = tasks.wait_for_cancellation.enqueue("first")
    running = worker(concurrency=2)
    assert tasks.gates["first"].entered.wait(20)
    hosting.cancel(cancelled)
    until(lambda: outcomes(observed, tasks.wait_for_cancellation, "cancelled") == 1)

    tasks.wait_for_cancellation.enqueue("second")
    assert tasks.gates["second"].entered.wait(20)
    running.stop(1.0)
    assert outcomes(observed, tasks.wait_for_cancellation, "released") == 1


def test_a_path_that_leads_to_no_task_is_unknown(worker: Start, observed: Observed) -> None:
    tasks.add.enqueue(1)
    Job.objects.update(task_path="made.up.by.somebody")
    worker()
    until(lambda: outcomes(observed, "unknown", "failed") == 1)

    scrape = observed.scrape()
    assert not [key for key in scrape.samples if "made.up" in str(key)]
    assert scrape.total("hosting_job_run_seconds_count") == 0  # it was not called


def test_waiting_and_running_are_measured(worker: Start, observed: Observed) -> None:
    labels = {"task": tasks.add.module_path, "queue": "default"}
    tasks.add.enqueue(1)
    Job.objects.update(due_at=Now() - timedelta(minutes=2))
    worker()
    until(lambda: observed.scrape().value("hosting_job_run_seconds_count", **labels) == 1)

    scrape = observed.scrape()
    assert 120 <= (scrape.value("hosting_job_wait_seconds_sum", **labels) or 0) < 150
    assert scrape.value("hosting_job_wait_seconds_bucket", **labels, le="60.0") == 0
    assert scrape.value("hosting_job_wait_seconds_bucket", **labels, le="300.0") == 1
    assert 0 < (scrape.value("hosting_job_run_seconds_sum", **labels) or 0) < 5


def test_nothing_is_made_where_nobody_observes(
    worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hosting.queues import telling

    made: list[Any] = []
    monkeypatch.setattr(telling, "_attempt", lambda *each: made.append(each))
    assert not attempts_settled.receivers
    running = worker()
    tasks.note.enqueue(1)
    until(lambda: running.service.facts()["executed"] == 1)
    assert not made


def test_a_queue_that_cannot_be_is_no_label() -> None:
    from hosting.observability.labels import OTHER, Labels

    labels = Labels(most=2)
    assert [labels.of(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER, "a", OTHER]


def test_round_trips_of_a_worker_to_its_database_are_timed(
    worker: Start, observed: Observed
) -> None:
    heard: list[dict[str, Any]] = []

    def hear(sender: Any, **payload: Any) -> None:
        heard.append({**payload, "sender": sender})

    round_trip_finished.connect(hear)
    try:
        running = worker()
        tasks.add.enqueue(1, 2)
        until(lambda: sum(each["settled"] for each in heard) == 1)
    finally:
        round_trip_finished.disconnect(hear)

    name = running.service.name
    assert sum(each["claimed"] for each in heard) == 1
    assert {(each["service"], each["sender"]) for each in heard} == {
        (name, type(store_for("default")))
    }
    assert all(0 < each["seconds"] < 20 for each in heard)
    count = observed.scrape().value("hosting_worker_round_trip_seconds_count", service=name)
    assert count is not None
    assert count >= len(heard)
