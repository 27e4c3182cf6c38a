"""The signals of a job with options, and what is spared where nobody hears them."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hosting.compat import TaskResultStatus, task_finished, task_logger, task_started
from hosting.queues import execution, settling
from hosting.queues.lookout import Lookout
from tests.queues.at_work import atomic_tasks, tasks
from tests.queues.at_work.facts import ended
from tests.queues.conftest import Heard, RunningWorker, until

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of jobs for which the worker makes a `TaskResult`."""
    made: list[str] = []

    def note(module: Any) -> None:
        to_result = module.to_result

        def noting(record: Any, task: Any) -> Any:
            made.append(str(record.id))
            return to_result(record, task)

        monkeypatch.setattr(module, "to_result", noting)

    note(execution)
    note(settling)
    return made


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody hears of a success, whoever else has connected to the signals in this process."""
    level = task_logger.level
    task_logger.setLevel(logging.WARNING)
    signals = (task_started, task_finished)
    for signal in signals:
        own = [each for each in signal.receivers if "log_task" in repr(each[1])]
        assert own
        monkeypatch.setattr(signal, "receivers", own)
        signal.sender_receivers_cache.clear()
    yield
    monkeypatch.undo()
    for signal in signals:
        signal.sender_receivers_cache.clear()
    task_logger.setLevel(level)


def names(heard: Heard, result: Any) -> list[str]:
    return [name for name, _, _ in heard.of(result)]


def test_every_attempt_starts_and_the_job_finishes_once(worker: Start, heard: Heard) -> None:
    worker()
    result = tasks.fail.enqueue(until_attempt=3)
    until(lambda: heard.has_finished(result))

    assert names(heard, result) == ["enqueued", "started", "started", "started", "finished"]
    finished = heard.of(result)[-1][2]
    assert (finished.status, finished.attempts) == (TaskResultStatus.SUCCESSFUL, 3)
    assert len(finished.errors) == 2
    result.refresh()
    assert finished == result


def test_who_snoozes_has_not_finished(worker: Start, heard: Heard) -> None:
    worker()
    result = tasks.snooze.enqueue(1)
    until(lambda: heard.has_finished(result))

    assert names(heard, result) == ["enqueued", "started", "started", "finished"]


def test_the_end_is_stored_before_it_is_told(worker: Start) -> None:
    stored: list[Any] = []

    def look(task_result: Any, **kwargs: Any) -> None:
        told = task_result.status
        task_result.refresh()
        stored.append((told, task_result.status))

    task_finished.connect(look)
    try:
        worker()
        tasks.note.enqueue(1)
        atomic_tasks.effect_free.enqueue()
        tasks.choose.enqueue("GraveMistake")
        until(lambda: len(stored) == 3)
    finally:
        task_finished.disconnect(look)
    assert all(told == status for told, status in stored)


@pytest.mark.usefixtures("quiet")
def test_no_result_is_made_where_nobody_hears(worker: Start, made: list[str]) -> None:
    worker()
    for task in (tasks.note, atomic_tasks.effect_free):
        ended(task.enqueue(1))
    # Failures are announced after successes of before, so these would be there.
    failed = tasks.choose.enqueue("GraveMistake")
    until(lambda: failed.id in made)

    assert made == [failed.id]


@pytest.mark.usefixtures("quiet")
def test_failures_are_logged_all_the_same(worker: Start, caplog: Any) -> None:
    worker()
    result = tasks.choose.enqueue("GraveMistake")

    def lines() -> list[Any]:
        return [r for r in caplog.records if r.name == task_logger.name and result.id in r.message]

    until(lines)
    [record] = lines()
    assert record.levelname == "ERROR"


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("signal", [task_started, task_finished], ids=["started", "finished"])
def test_a_receiver_is_enough(worker: Start, made: list[str], signal: Any) -> None:
    heard: list[str] = []

    def receive(task_result: Any, **kwargs: Any) -> None:
        heard.append(task_result.id)

    signal.connect(receive)
    try:
        worker()
        first = ended(tasks.note.enqueue(1))
        until(lambda: heard == [first.id])
    finally:
        signal.disconnect(receive)
    ended(tasks.note.enqueue(2))
    failed = tasks.choose.enqueue("GraveMistake")
    until(lambda: failed.id in made)

    assert heard == [first.id]
    assert made == [first.id, failed.id]


# At the end of a worker


class Gate:
    """A receiver of `task_finished` that takes its time."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.seconds = 20.0
        self.heard: list[str] = []

    def receive(self, task_result: Any, **kwargs: Any) -> None:
        self.entered.set()
        self.opened.wait(self.seconds)
        self.heard.append(task_result.id)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    task_finished.connect(gate.receive)
    yield gate
    gate.opened.set()
    until(lambda: not announcers())
    task_finished.disconnect(gate.receive)


def announcers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.endswith(":announce")]


@pytest.mark.parametrize("seconds", [None, 10])
def test_a_worker_that_ends_has_announced_all(
    worker: Start, gate: Gate, seconds: float | None
) -> None:
    gate.seconds = 0.3
    running = worker()
    results = [ended(tasks.note.enqueue(number)) for number in range(2)]

    running.stop(seconds)

    assert gate.heard == [result.id for result in results]
    assert announcers() == []


def test_a_receiver_that_hangs_holds_up_no_stop(worker: Start, gate: Gate) -> None:
    running = worker()
    ended(tasks.note.enqueue(1))
    assert gate.entered.wait(20)

    running.stop(0.2)

    assert gate.heard == []


def test_a_worker_that_crashes_leaves_no_announcer(
    transactional_db: None, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = RunningWorker(poll_interval=0.05)
    ended(tasks.note.enqueue(1))
    assert gate.entered.wait(20)
    monkeypatch.setattr(Lookout, "look", lambda self: 1 // 0)
    running.thread.join(20)
    assert isinstance(running.error, ZeroDivisionError)

    gate.opened.set()

    until(lambda: not announcers())
