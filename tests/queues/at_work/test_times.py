"""When a job begins: not too early, not too late, and the more important first."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from hosting.compat import TaskResultStatus
from hosting.models import Job
from tests.queues.at_work import atomic_tasks, tasks
from tests.queues.at_work.facts import ended, error_names, row
from tests.queues.conftest import Heard, RunningWorker, until
from tests.queues.tasks import add, calls, gates

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


def test_what_was_not_started_in_time_has_expired(worker: Start, heard: Heard) -> None:
    running = worker(concurrency=1)
    running.wait_until_ready()
    tasks.wait_at.enqueue("here")
    assert gates["here"].entered.wait(20)
    late = tasks.note.using(expires=0.001).enqueue("late")
    in_time = tasks.note.using(expires=3600).enqueue("in time")
    until(lambda: row(late).expires_at is not None and row(late).expires_at < timezone.now())
    gates["here"].opened.set()

    assert ended(in_time).status == TaskResultStatus.SUCCESSFUL
    assert (ended(late).status, error_names(late)) == (TaskResultStatus.FAILED, ["JobExpired"])
    assert calls == ["in time"]
    until(lambda: heard.has_finished(late))
    assert [name for name, _, _ in heard.of(late)] == ["enqueued", "finished"]


def test_what_has_expired_is_not_attempted_again(worker: Start) -> None:
    late = tasks.fail.using(expires=timezone.now() - timedelta(seconds=1)).enqueue()
    worker()

    assert error_names(ended(late)) == ["JobExpired"]


def test_atomic_jobs_expire_too(worker: Start) -> None:
    late = atomic_tasks.effect.using(expires=timezone.now() - timedelta(seconds=1)).enqueue("never")
    worker()

    assert error_names(ended(late)) == ["JobExpired"]


def test_a_timedelta_counts_from_the_enqueue(worker: Start) -> None:
    later = tasks.note.using(run_after=timedelta(hours=1)).enqueue("later")
    soon = tasks.note.using(run_after=timedelta(milliseconds=100)).enqueue("soon")
    job = row(later)
    assert abs((job.due_at - job.enqueued_at).total_seconds() - 3600) < 5
    worker()

    ended(soon)
    assert soon.started_at >= soon.enqueued_at + timedelta(milliseconds=90)
    assert ended(add.enqueue(1)).return_value == 1
    assert calls == ["soon"]
    assert row(later).state == "waiting"
    Job.objects.filter(id=later.id).update(due_at=timezone.now())
    ended(later)


def test_the_highest_priority_comes_first(worker: Start) -> None:
    order = [0, -100, 100, 5, -5, 100]
    results = [
        tasks.note.using(priority=each).enqueue([place, each]) for place, each in enumerate(order)
    ]
    worker(concurrency=1)
    for result in results:
        ended(result)

    assert calls == [[2, 100], [5, 100], [3, 5], [0, 0], [4, -5], [1, -100]]


def test_priority_counts_also_among_jobs_with_a_limit(worker: Start) -> None:
    results = [
        tasks.note.using(priority=each, concurrency=1).enqueue(each) for each in (0, -100, 100)
    ]
    worker()
    for result in results:
        ended(result)

    assert calls == [100, 0, -100]
