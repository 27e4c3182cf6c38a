"""How many jobs run at a time, and how many begin in a period, in all workers together."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hosting import Concurrency, Rate
from hosting.compat import TaskResultStatus
from hosting.models import Job
from hosting.queues import lookout
from tests.queues.at_work import tasks
from tests.queues.at_work.facts import AT_ONCE, cancel, ended, error_names
from tests.queues.conftest import RunningWorker, until
from tests.queues.tasks import add, calls, gates

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


@pytest.fixture
def crowd() -> Iterator[tasks.Crowd]:
    tasks.crowds.append(tasks.Crowd())
    yield tasks.crowds[0]
    tasks.crowds.clear()


def test_no_more_run_at_a_time_than_allowed(worker: Start, crowd: tasks.Crowd) -> None:
    for _ in range(2):
        worker(concurrency=4)
    # They leave in pairs, so two at a time do run.
    results = [tasks.crowd.using(concurrency=2).enqueue("all", in_pairs=True) for _ in range(12)]

    assert {ended(each).status for each in results} == {TaskResultStatus.SUCCESSFUL}
    assert crowd.most == {"all": 2}


def test_every_key_has_its_own_limit(worker: Start, crowd: tasks.Crowd) -> None:
    worker(concurrency=8)
    task = tasks.crowd.using(concurrency=Concurrency(1, key="key"))
    # They leave in pairs, so one of each key does run at a time.
    results = [task.enqueue(key, in_pairs=True) for _ in range(4) for key in ("a", "b")]

    assert {ended(each).status for each in results} == {TaskResultStatus.SUCCESSFUL}
    assert crowd.most == {"a": 1, "b": 1}


def test_a_limit_holds_up_nobody_else(worker: Start) -> None:
    worker(concurrency=2)
    results = [tasks.wait_at.using(concurrency=1).enqueue("here") for _ in range(3)]
    assert gates["here"].entered.wait(20)

    assert ended(add.enqueue(1)).return_value == 1
    assert Job.objects.filter(state="blocked").count() == 2
    gates["here"].opened.set()
    for result in results:
        assert ended(result).status == TaskResultStatus.SUCCESSFUL


def test_the_next_is_not_left_to_the_poll(worker: Start, monkeypatch: Any) -> None:
    monkeypatch.setattr(lookout, "FIRST", 3600.0)
    running = worker(poll_interval=3600)
    running.wait_until_ready()
    first, second = (tasks.wait_at.using(concurrency=1).enqueue(gate) for gate in "ab")
    assert gates["a"].entered.wait(20)
    shift: Any = running.service._shift
    until(lambda: shift._lookout.pause() > 1000)  # it has looked, and is to look again much later
    gates["a"].opened.set()

    assert gates["b"].entered.wait(10)
    gates["b"].opened.set()
    ended(first)
    ended(second)


def test_what_fails_or_is_cancelled_makes_room(worker: Start) -> None:
    worker()
    failing = tasks.fail.using(concurrency=1).enqueue()
    assert error_names(ended(failing)) == ["Mistake"] * 3
    told = tasks.run_until_told.using(concurrency=1, backoff=AT_ONCE).enqueue()
    after = tasks.run_until_told.using(concurrency=1).enqueue("return")
    assert gates["running"].entered.wait(20)
    gates["running"].entered.clear()
    assert cancel(told)
    ended(told)

    assert gates["running"].entered.wait(20)
    assert cancel(after)
    assert ended(after).status == TaskResultStatus.SUCCESSFUL


def test_no_more_begin_in_a_period_than_allowed(worker: Start) -> None:
    for _ in range(2):
        worker(concurrency=4)
    period = 1.0
    task = tasks.note_moment.using(rate=Rate(3, period))
    began = time.monotonic()
    results = [task.enqueue() for _ in range(9)]

    assert {ended(each).status for each in results} == {TaskResultStatus.SUCCESSFUL}
    starts = sorted(calls)
    assert starts[2] - began < period  # what is allowed may begin at once
    # Three at once and then one for each third: a job may have begun a little late.
    late = period / 6
    for place, start in enumerate(starts):
        assert place < 3 + (start - began + late) * 3 / period


def test_a_rate_is_of_its_key(worker: Start) -> None:
    worker()
    task = tasks.note.using(rate=Rate(1, 3600, key="what"))
    first, second = task.enqueue("a"), task.enqueue("b")
    third = task.enqueue("a")
    ended(first)
    ended(second)

    until(lambda: Job.objects.filter(id=third.id, state="blocked").exists())
    assert ended(add.enqueue(1)).return_value == 1
    assert sorted(calls) == ["a", "b"]


def both(limit: int) -> dict[str, Any]:
    return {"concurrency": limit, "rate": Rate(1000, 1)}


def test_both_limits_hold(worker: Start, crowd: tasks.Crowd) -> None:
    worker(concurrency=4)
    results = [tasks.crowd.using(**both(2)).enqueue("all", in_pairs=True) for _ in range(8)]

    assert {ended(each).status for each in results} == {TaskResultStatus.SUCCESSFUL}
    assert crowd.most == {"all": 2}
