"""Cancelling, retrying and discarding jobs from outside."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hosting.compat import TaskResultDoesNotExist, TaskResultStatus
from hosting.queues.stores.control import TableControl
from tests.queues.at_work import tasks
from tests.queues.at_work.facts import cancel, discard, ended, error_names, retry
from tests.queues.conftest import Heard, RunningWorker, until
from tests.queues.tasks import calls, gates

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


@pytest.mark.parametrize(
    "changes", [{}, {"run_after": timedelta(hours=1)}, {"concurrency": 1}], ids=str
)
def test_a_job_that_does_not_run_ends_at_once(worker: Start, changes: dict[str, Any]) -> None:
    result = tasks.note.using(**changes).enqueue("never")

    assert cancel(result)

    result.refresh()
    assert (result.status, error_names(result)) == (TaskResultStatus.FAILED, ["JobCancelled"])
    assert (result.worker_ids, result.started_at) == ([], None)
    assert result.finished_at is not None
    worker()
    ended(tasks.note.enqueue("later"))
    assert calls == ["later"]


@pytest.mark.parametrize("task", [tasks.run_until_told, tasks.await_being_told])
def test_a_job_that_runs_is_told_to_end(worker: Start, task: Any, heard: Heard) -> None:
    worker()
    result = task.enqueue()
    assert gates["running"].entered.wait(20)

    assert cancel(result)

    ended(result)
    assert (result.status, error_names(result)) == (TaskResultStatus.FAILED, ["JobCancelled"])
    assert len(result.worker_ids) == 1
    until(lambda: heard.has_finished(result))


def test_a_job_that_fails_when_it_is_told_so_has_ended(worker: Start) -> None:
    worker()
    result = tasks.run_until_told.enqueue("fail")
    assert gates["running"].entered.wait(20)

    assert cancel(result)

    assert error_names(ended(result)) == ["Mistake", "JobCancelled"]
    assert calls == ["told"]


def test_a_cancelled_job_does_not_come_back_by_snoozing(worker: Start) -> None:
    worker()
    result = tasks.run_until_told.enqueue("snooze")
    assert gates["running"].entered.wait(20)

    assert cancel(result)

    assert error_names(ended(result)) == ["JobCancelled"]
    assert calls == ["told"]


@pytest.fixture
def told_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no job told that it is cancelled before it ends."""
    monkeypatch.setattr(TableControl, "asked_to_end", lambda *_: set())


@pytest.mark.parametrize("task", [tasks.fail_at, tasks.snooze_at])
def test_a_job_that_was_not_told_in_time_does_not_come_back(
    worker: Start, heard: Heard, told_late: None, task: Any
) -> None:
    worker()
    result = task.enqueue("late")
    assert gates["late"].entered.wait(20)

    assert cancel(result)
    gates["late"].opened.set()

    errors = ["Mistake", "JobCancelled"] if task is tasks.fail_at else ["JobCancelled"]
    assert error_names(ended(result)) == errors
    until(lambda: heard.has_finished(result))
    told = heard.of(result)[-1][2]
    assert (told.status, error_names(told)) == (TaskResultStatus.FAILED, errors)
    assert told.finished_at == result.finished_at


def test_a_cancelled_job_is_not_handed_back(worker: Start, heard: Heard, told_late: None) -> None:
    running = worker()
    result = tasks.run_until_told.enqueue()
    assert gates["running"].entered.wait(20)

    assert cancel(result)
    running.stop(1)

    assert error_names(ended(result)) == ["JobCancelled"]
    assert heard.has_finished(result)


def test_a_job_that_finishes_all_the_same_has_succeeded(worker: Start) -> None:
    worker()
    result = tasks.run_until_told.enqueue("return")
    assert gates["running"].entered.wait(20)

    assert cancel(result)

    assert ended(result).return_value == "all the same"


def test_only_what_is_cancelled_is_told(worker: Start) -> None:
    worker(concurrency=2)
    other = tasks.wait_at.enqueue("other")
    result = tasks.run_until_told.enqueue()
    assert gates["other"].entered.wait(20)
    assert gates["running"].entered.wait(20)

    assert cancel(result)
    ended(result)
    gates["other"].opened.set()

    assert ended(other).status == TaskResultStatus.SUCCESSFUL


def test_what_has_ended_cannot_be_cancelled(worker: Start) -> None:
    worker()
    result = ended(tasks.note.enqueue("done"))

    assert not cancel(result)
    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL


# Retry


def test_a_failed_job_runs_again_with_a_new_count(worker: Start) -> None:
    worker()
    result = ended(tasks.fail.using(max_attempts=2).enqueue())
    assert result.attempts == 2

    assert retry(result)

    assert ended(result).attempts == 4
    assert (result.status, error_names(result)) == (TaskResultStatus.FAILED, ["Mistake"] * 4)


def test_a_failed_job_may_succeed_now(worker: Start) -> None:
    worker()
    result = ended(tasks.fail.using(max_attempts=1).enqueue(until_attempt=2))

    assert retry(result)

    assert (ended(result).return_value, error_names(result)) == (2, ["Mistake"])


def test_a_cancelled_job_may_run_after_all(worker: Start) -> None:
    result = tasks.note.using(concurrency=1).enqueue("after all")
    assert cancel(result)

    assert retry(result)
    worker()

    assert ended(result).status == TaskResultStatus.SUCCESSFUL
    assert calls == ["after all"]


def test_a_job_that_was_told_to_end_may_run_again(worker: Start) -> None:
    worker()
    result = tasks.run_until_told.enqueue()
    assert gates["running"].entered.wait(20)
    assert cancel(result)
    ended(result)
    gates["running"].entered.clear()

    assert retry(result)
    assert gates["running"].entered.wait(20)

    assert cancel(result)
    assert error_names(ended(result)) == ["JobCancelled"] * 2


def test_only_what_has_failed_is_retried(worker: Start) -> None:
    ready = tasks.note.enqueue("ready")
    assert not retry(ready)
    worker()
    assert not retry(ended(ready))
    assert calls == ["ready"]


# Discard


def test_what_is_discarded_is_gone(worker: Start) -> None:
    never = tasks.note.enqueue("never")
    assert discard(never)
    worker()
    done = ended(tasks.note.enqueue("done"))
    assert discard(done)

    for result in (never, done):
        with pytest.raises(TaskResultDoesNotExist):
            result.refresh()
    assert calls == ["done"]


def test_what_runs_is_not_discarded(worker: Start) -> None:
    worker()
    result = tasks.wait_at.enqueue("here")
    assert gates["here"].entered.wait(20)

    assert not discard(result)
    gates["here"].opened.set()

    assert ended(result).status == TaskResultStatus.SUCCESSFUL
