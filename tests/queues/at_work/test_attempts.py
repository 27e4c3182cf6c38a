"""How often a job is attempted, after which errors and after what time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hosting import Backoff
from hosting.compat import TaskResultStatus
from tests.queues.at_work import tasks
from tests.queues.at_work.facts import AT_ONCE, ended, error_names, is_waiting, row, with_options
from tests.queues.conftest import RunningWorker, until
from tests.queues.tasks import calls

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


def delay(result: Any) -> float:
    """Seconds from the last attempt to the next, of a job that waits for it."""
    until(lambda: is_waiting(result))
    job = row(result)
    assert job.claimed_at is not None
    return (job.due_at - job.claimed_at).total_seconds()


def test_every_attempt_is_counted_and_its_error_kept(worker: Start) -> None:
    worker()

    result = ended(tasks.fail.enqueue())

    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 3)
    assert error_names(result) == ["Mistake"] * 3
    for number, error in enumerate(result.errors, 1):
        assert f"attempt {number}" in error.traceback


def test_a_later_attempt_may_succeed(worker: Start) -> None:
    worker()

    result = ended(tasks.fail.enqueue(until_attempt=3))

    assert (result.return_value, result.attempts) == (3, 3)
    assert error_names(result) == ["Mistake"] * 2
    assert result.started_at < result.last_attempted_at <= result.finished_at


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_one_call_has_its_own_number_of_attempts(worker: Start, attempts: int) -> None:
    worker()

    assert ended(tasks.fail.using(max_attempts=attempts).enqueue()).attempts == attempts


def test_the_backend_says_how_often_by_default(worker: Start, settings: Any) -> None:
    with_options(settings, MAX_ATTEMPTS=2)
    worker()

    assert ended(tasks.fail.using(max_attempts=None).enqueue()).attempts == 2


# When


def test_the_next_attempt_waits_by_the_backoff(worker: Start) -> None:
    worker()
    result = tasks.fail.using(backoff=Backoff(initial=3600, maximum=3600)).enqueue()

    assert 1800 <= delay(result) <= 3660
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 1)
    assert error_names(result) == ["Mistake"]
    assert row(result).failures == 1


def test_a_function_is_asked_after_every_failure_but_the_last(worker: Start) -> None:
    worker()

    assert ended(tasks.fail_by_function.enqueue()).attempts == 3
    assert calls == [1, 2]


def test_a_function_that_fails_holds_up_no_job(worker: Start, caplog: Any) -> None:
    worker()

    result = ended(tasks.fail_with_broken_backoff.enqueue())

    assert error_names(result) == ["Mistake"] * 2
    assert any("the default is used" in record.message for record in caplog.records)


# After which errors


@pytest.mark.parametrize(
    ("name", "attempts"), [("Mistake", 2), ("OSError", 2), ("GraveMistake", 1), ("SystemExit", 1)]
)
def test_some_errors_are_worth_another_attempt(worker: Start, name: str, attempts: int) -> None:
    worker()

    result = ended(tasks.choose.enqueue(name))

    assert error_names(result) == [name] * attempts


def test_an_exit_is_none_of_them_by_default(worker: Start) -> None:
    worker()

    assert error_names(ended(tasks.leave.enqueue())) == ["SystemExit"]


# As the job asks


def test_a_job_asks_for_another_attempt(worker: Start) -> None:
    worker()

    result = ended(tasks.ask_for_retry.enqueue(after=0))

    assert (result.return_value, result.attempts) == (2, 2)  # though `retry_on` has it not
    assert error_names(result) == ["RetryJob"]
    assert calls == []  # it passed an `except Exception`


def test_a_job_says_after_what_time(worker: Start) -> None:
    worker()

    assert 1790 <= delay(tasks.ask_for_retry.enqueue(after=1800)) <= 1860


def test_a_job_leaves_the_time_to_the_backoff(worker: Start) -> None:
    worker()

    result = ended(tasks.ask_for_retry.using(backoff=AT_ONCE).enqueue(after=None))

    assert result.return_value == 2


def test_asking_in_the_last_attempt_is_failing(worker: Start) -> None:
    worker()

    result = ended(tasks.ask_for_retry.enqueue(after=0, always=True))

    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 2)
    assert error_names(result) == ["RetryJob"] * 2


@pytest.mark.parametrize("after", [-1, "soon"])
def test_asking_for_an_impossible_time_is_an_error(worker: Start, after: Any) -> None:
    worker()

    result = ended(tasks.ask_for_retry.enqueue(after=after))

    [error] = result.errors
    assert f"after is {after!r}, allowed: seconds or a timedelta, 0 or more" in error.traceback


def test_a_coroutine_asks_for_another_attempt(worker: Start) -> None:
    worker()

    result = ended(tasks.ask_for_retry_in_coroutine.enqueue())

    assert (result.return_value, error_names(result)) == (2, ["RetryJob"])


@pytest.mark.parametrize("task", [tasks.snooze, tasks.snooze_in_coroutine])
def test_to_snooze_is_not_to_fail(worker: Start, task: Any) -> None:
    worker()

    result = ended(task.using(max_attempts=1).enqueue(3))

    assert (result.return_value, result.errors) == (4, [])
    assert len(result.worker_ids) == 4


def test_who_snoozes_comes_back_later(worker: Start) -> None:
    worker()
    result = tasks.snooze.enqueue(1, seconds=timedelta(hours=1).total_seconds())

    assert 3590 <= delay(result) <= 3660
    assert row(result).failures == 0
