"""`drain`: jobs are executed on the spot, as a worker would, in the transaction of the test."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import hosting
from hosting.compat import TaskResult, TaskResultStatus, task_finished, task_started
from hosting.models import Job, Limit
from hosting.queues.execution import JobExpired
from hosting.queues.stores.duties import JobCancelled
from hosting.testing import adrain, drain
from tests.queues.tasks import leave
from tests.testing import tasks
from tests.testing.tasks import calls

pytestmark = pytest.mark.usefixtures("database")


def keys() -> set[str]:
    return set(Limit.objects.values_list("key", flat=True))


def error_names(result: Any) -> list[str]:
    result.refresh()
    return [error.exception_class_path.rpartition(".")[2] for error in result.errors]


def test_it_runs_what_is_ready_and_tells_what_ran() -> None:
    result = tasks.note.enqueue("a")

    [attempt] = drain()

    assert calls == ["a"]
    assert (attempt.id, attempt.ending, attempt.return_value) == (result.id, "succeeded", "a")
    assert (attempt.task_path, attempt.args) == ("tests.testing.tasks.note", ["a"])
    result.refresh()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, "a")
    assert drain() == []


def test_it_runs_what_the_jobs_enqueue_too() -> None:
    tasks.note_and_go_on.enqueue(3)

    assert len(drain()) == 4
    assert calls == [3, 2, 1, 0]


def test_the_highest_priority_comes_first() -> None:
    for priority in (0, 5, -5):
        tasks.note.using(priority=priority).enqueue(priority)

    drain()

    assert calls == [5, 0, -5]


def test_jobs_without_an_end_are_an_error_that_names_the_next() -> None:
    tasks.for_ever.enqueue()

    with pytest.raises(AssertionError, match=r"made 7 attempts .*tests\.testing\.tasks\.for_ever"):
        drain(limit=7)

    assert [job.state for job in Job.objects.all()] == ["ready"]


def test_only_the_queues_that_are_named() -> None:
    tasks.note.using(queue_name="mail").enqueue("mail")
    tasks.note.enqueue("default")

    drain(queues=["mail"])

    assert calls == ["mail"]


@pytest.mark.parametrize("queues", [None, ["mail"], ["mail", "default"]], ids=str)
def test_a_paused_queue_is_left_alone_until_it_is_resumed(queues: list[str] | None) -> None:
    hosting.pause_queue("mail")
    tasks.note.using(queue_name="mail").enqueue("mail")

    assert drain(queues=queues, include_scheduled=True) == []

    hosting.resume_queue("mail")
    assert len(drain(queues=queues)) == 1


def test_one_name_is_not_a_list_of_names() -> None:
    with pytest.raises(ValueError, match="queues is 'mail', allowed: a list of names"):
        drain(queues="mail")


def test_coroutines_use_the_connection_of_the_test() -> None:
    tasks.anote.enqueue("a")

    drain()

    assert keys() == {"anote a"}


def test_asynchronous_tests_drain_too() -> None:
    async def test() -> None:
        await tasks.note.aenqueue("a")
        assert len(await adrain()) == 1

    async_to_sync(test)()

    assert calls == ["a"]


def test_signals_are_sent_in_this_thread() -> None:
    heard: list[Any] = []

    def hear(signal: Any, task_result: Any, **_: Any) -> None:
        heard.append((signal, task_result.id, threading.current_thread()))

    here = threading.current_thread()
    for signal in (task_started, task_finished):
        signal.connect(hear)
    try:
        result = tasks.note.enqueue("a")
        drain()
    finally:
        for signal in (task_started, task_finished):
            signal.disconnect(hear)
    assert heard == [(task_started, result.id, here), (task_finished, result.id, here)]


def test_the_queries_of_jobs_are_counted_with_those_of_the_test() -> None:
    tasks.write.enqueue("a")

    with CaptureQueriesContext(connection) as captured:
        drain()

    assert any("INSERT" in each["sql"] and "hosting_limit" in each["sql"] for each in captured)


class TestErrors:
    def test_what_a_task_raises_is_raised_and_stored(self) -> None:
        failed, left = tasks.fail.enqueue(), tasks.note.enqueue("left")

        with pytest.raises(LookupError, match="as told") as caught:
            drain()

        assert any(entry.name == "fail" for entry in caught.traceback)
        assert error_names(failed) == ["LookupError"]
        assert failed.status == TaskResultStatus.FAILED
        left.refresh()
        assert left.status == TaskResultStatus.READY

    def test_errors_can_be_collected(self) -> None:
        tasks.fail.enqueue("one")
        tasks.note.enqueue("two")
        tasks.fail.enqueue("three")

        ran = drain(errors="collect")

        assert calls == ["one", "two", "three"]
        assert [str(error) for error in ran.errors] == ["one", "three"]
        assert [attempt.ending for attempt in ran] == ["failed", "succeeded", "failed"]

    def test_ctrl_c_is_never_collected(self) -> None:
        leave.enqueue("interrupt")

        with pytest.raises(KeyboardInterrupt):
            drain(errors="collect")

    def test_another_word_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="errors is 'ignore', allowed: 'raise', 'collect'"):
            drain(errors="ignore")

    def test_so_is_a_backend_without_a_database(self, settings: Any) -> None:
        package = TaskResult.__module__.rpartition(".")[0]
        path = f"{package}.backends.immediate.ImmediateBackend"
        settings.TASKS = {"default": {"BACKEND": path}}
        with pytest.raises(TypeError, match="'default' is a ImmediateBackend"):
            drain()


class TestTime:
    def test_what_waits_for_its_time_stays(self) -> None:
        tasks.note.using(run_after=timedelta(hours=1)).enqueue("later")

        assert drain() == []
        assert calls == []

    def test_unless_it_is_asked_for_and_then_in_the_order_of_time(self) -> None:
        for hours in (2, 1, 3):
            tasks.note.using(run_after=timezone.now() + timedelta(hours=hours)).enqueue(hours)
        tasks.note.enqueue(0)

        drain(include_scheduled=True)

        assert calls == [0, 1, 2, 3]

    def test_a_snoozed_job_waits_for_its_time(self) -> None:
        result = tasks.snooze_once.enqueue()

        [attempt] = drain()

        assert attempt.ending == "snoozed"
        drain(include_scheduled=True)
        result.refresh()
        assert result.return_value == 2


class TestRetries:
    def test_a_failed_attempt_is_raised_and_its_job_waits(self) -> None:
        result = tasks.fail_twice.enqueue()

        with pytest.raises(LookupError, match="attempt 1"):
            drain()

        result.refresh()
        assert result.status == TaskResultStatus.READY
        assert drain() == []

    def test_on_request_the_next_attempt_follows_at_once(self) -> None:
        result = tasks.fail_twice.enqueue()

        ran = drain(retries=True)

        assert [attempt.ending for attempt in ran] == ["retrying", "retrying", "succeeded"]
        result.refresh()
        assert (result.return_value, result.attempts) == (3, 3)

    def test_the_last_failure_is_raised(self) -> None:
        result = tasks.fail.using(max_attempts=2).enqueue()

        with pytest.raises(LookupError):
            drain(retries=True)

        assert calls == ["as told", "as told"]
        assert error_names(result) == ["LookupError", "LookupError"]


class TestOptions:
    def test_a_unique_job_runs_once(self) -> None:
        assert tasks.once.enqueue("a").id == tasks.once.enqueue("a").id
        drain()
        assert calls == ["a"]

    def test_what_a_rate_does_not_allow_stays(self) -> None:
        for what in ("first", "second"):
            tasks.seldom.enqueue(what)

        drain()

        assert calls == ["first"]

    def test_what_follows_a_batch_comes_last(self) -> None:
        with hosting.Batch() as batch:
            batch.then(tasks.note, "then")
            batch.enqueue_many(tasks.note, [(1,), (2,)])

        drain()

        assert calls == [1, 2, "then"]

    def test_an_atomic_job_leaves_nothing_when_it_fails(self) -> None:
        tasks.write_and_fail_atomically.enqueue("failed")
        tasks.write_atomically.enqueue("written")

        ran = drain(errors="collect")

        assert [attempt.ending for attempt in ran] == ["failed", "succeeded"]
        assert keys() == {"written"}

    def test_another_keeps_what_it_has_written(self) -> None:
        tasks.write_and_fail.enqueue("failed")

        drain(errors="collect")

        assert keys() == {"failed"}

    def test_a_job_that_was_cancelled_does_not_run(self) -> None:
        result = tasks.note.enqueue("a")
        assert hosting.cancel(result)

        assert drain() == []
        assert error_names(result) == [JobCancelled.__name__]


class TestDatabaseErrors:
    def test_a_statement_that_fails_spoils_no_other_job(self) -> None:
        broken, fine = tasks.break_a_constraint.enqueue("a"), tasks.write.enqueue("b")

        ran = drain(errors="collect")

        assert [attempt.ending for attempt in ran] == ["failed", "succeeded"]
        assert error_names(broken) == ["IntegrityError"]
        fine.refresh()
        assert "b" in keys()

    def test_nor_one_that_is_caught(self) -> None:
        tasks.survive_a_constraint.enqueue("a")

        assert [attempt.return_value for attempt in drain()] == ["survived"]
        assert keys() == {"a"}

    @pytest.mark.parametrize("atomic", [False, True])
    def test_a_transaction_that_is_left_open_is_rolled_back_and_fails_its_job(
        self, database: str, atomic: bool
    ) -> None:
        depth = len(connection.savepoint_ids)
        tasks.write_and_leave_a_transaction_open.using(atomic=atomic).enqueue("a")
        tasks.write.enqueue("b")

        ran = drain(errors="collect")

        assert [type(attempt.error).__name__ for attempt in ran] == [
            "TransactionManagementError",
            "NoneType",
        ]
        assert keys() == {"b"}
        assert len(connection.savepoint_ids) == depth
        assert connection.in_atomic_block == (database == "in a transaction")

    def test_a_connection_that_was_the_test_s_and_is_closed_is_an_error(
        self, database: str
    ) -> None:
        if database == "without":
            pytest.skip("the connection is not the test's")
        tasks.seem_to_close_the_connection.enqueue()

        with pytest.raises(AssertionError, match="or closed its connection 'default'"):
            drain()

        connection.closed_in_transaction = False
        connection.savepoint_ids.pop()


def test_expired_jobs_fail_as_expired() -> None:
    tasks.soon.enqueue()
    Job.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(JobExpired):
        drain()
