"""Jobs of which there is one at a time: a second enqueue gives the result of the first."""

from collections.abc import Callable
from typing import Any

import pytest

from hosting import Unique
from hosting.models import Job
from tests.queues.at_work import tasks
from tests.queues.at_work.facts import cancel, ended
from tests.queues.conftest import Heard, RunningWorker
from tests.queues.tasks import calls, gates

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]

STARTED = Unique(key="order", until="started")


def test_the_second_enqueue_gives_the_first_result(worker: Start, heard: Heard) -> None:
    first = tasks.once.enqueue(1)
    second = tasks.once.enqueue(order=1)
    other = tasks.once.enqueue(2)

    assert first.id == second.id != other.id
    assert [name for name, _, _ in heard.of(first)] == ["enqueued"]
    worker()
    ended(first)
    ended(other)
    assert sorted(calls) == [1, 2]


def test_it_is_unique_until_it_has_finished(worker: Start) -> None:
    worker()
    first = tasks.once.enqueue(1, gate="here")
    assert gates["here"].entered.wait(20)

    assert tasks.once.enqueue(1).id == first.id
    gates["here"].opened.set()
    ended(first)

    again = tasks.once.enqueue(1)
    assert again.id != first.id
    ended(again)
    assert calls == [1, 1]


def test_it_is_free_once_it_has_failed(worker: Start) -> None:
    worker()
    task = tasks.fail.using(unique=True)
    first = task.enqueue()
    ended(first)

    assert ended(task.enqueue()).id != first.id


def test_it_is_taken_while_it_waits_for_another_attempt(worker: Start) -> None:
    worker()
    task = tasks.ask_for_retry.using(unique=True)
    first = task.enqueue(after=0)

    assert ended(first).attempts == 2
    assert task.enqueue(after=0).id != first.id


def test_it_is_free_once_it_is_cancelled() -> None:
    first = tasks.once.enqueue(1)
    assert cancel(first)

    assert tasks.once.enqueue(1).id != first.id


def test_it_may_be_unique_until_it_has_started(worker: Start) -> None:
    task = tasks.once.using(unique=STARTED)
    first = task.enqueue(1, gate="here")
    assert task.enqueue(1).id == first.id
    worker()
    assert gates["here"].entered.wait(20)

    second = task.enqueue(1)
    assert second.id != first.id
    gates["here"].opened.set()
    ended(first)
    ended(second)
    assert calls == [1, 1]


def test_it_may_be_unique_for_a_period_whatever_becomes_of_it(worker: Start) -> None:
    worker()
    task = tasks.once.using(unique=Unique(key="order", period=3600))
    first = ended(task.enqueue(1))

    second = task.enqueue(1)

    assert second.id == first.id
    assert second.is_finished
    assert ended(task.enqueue(2)).id != first.id
    assert calls == [1, 2]


def test_the_period_ends(worker: Start) -> None:
    worker()
    task = tasks.once.using(unique=Unique(key="order", period=0.001))
    first = ended(task.enqueue(1))

    assert ended(task.enqueue(1)).id != first.id


def test_who_comes_at_the_same_time_gets_the_same_job(in_threads: Callable[..., Any]) -> None:
    results = in_threads(*[lambda: tasks.once.enqueue(1)] * 4)

    assert len({result.id for result in results}) == 1
    assert Job.objects.count() == 1
