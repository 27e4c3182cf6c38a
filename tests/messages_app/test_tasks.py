"""What an added task writes, and what becomes of it when it is interrupted."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from hosting import CancellationToken, OperationCancelled, QueueFull, Scheduler, background_tasks
from hosting.checks import check_hosting
from hosting.compat import TaskResultDoesNotExist, TaskResultStatus, task_finished
from hosting.models import Schedule
from hosting.testing import assert_enqueued, drain, started
from messages_app import tasks
from messages_app.models import AddedTask, Message, State
from messages_app.tasks import add_task, prune_messages, write_messages
from tests.queues.conftest import until

# Transactions of their own, as the steps open scopes, which close connections.
pytestmark = pytest.mark.django_db(transaction=True)


class Clock(CancellationToken):
    """A token whose waits take no time; it is cancelled in the wait with the number `cancel_in`."""

    def __init__(self, cancel_in: int | None = None) -> None:
        super().__init__()
        self.waits: list[float | None] = []
        self._cancel_in = cancel_in

    def wait(self, seconds: float | None = None) -> bool:
        self.waits.append(seconds)
        if len(self.waits) == self._cancel_in:
            self.cancel()
        return self.is_cancelled


@contextmanager
def failing_statement(*words: str) -> Iterator[None]:
    """The database refuses each statement in which, with its parameters, all of the words occur."""

    def execute(run: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if all(word in f"{sql} {params}" for word in words):
            raise DatabaseError("the disk is full")
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


def texts(task_id: str) -> list[str]:
    return list(Message.objects.filter(task_id=task_id).values_list("text", flat=True))


def lines(task_id: str, *steps: int, of: int = 3) -> list[str]:
    return [f"Queued Background Task {task_id} has written a step. {n}/{of}" for n in steps]


def run_job(task_id: str, token: CancellationToken, steps: int = 3, delay: float = 5.0) -> None:
    context = SimpleNamespace(task_result=SimpleNamespace(id=task_id), token=token)
    write_messages.func(context, steps, delay)


def run_item(token: CancellationToken) -> None:
    item = background_tasks.poll()
    assert item is not None
    item(token)


class TestAddingToTheDatabase:
    def test_the_row_and_the_job_have_one_id_and_the_same_numbers(self) -> None:
        added = add_task("database", 3, 0.5)

        job = write_messages.get_result(added.id)
        assert (job.args, job.status) == ([3, 0.5], TaskResultStatus.READY)
        added.refresh_from_db()
        assert (added.queue, added.steps, added.delay) == ("database", 3, 0.5)
        assert (added.state, added.step) == ("waiting", 0)

    def test_a_worker_writes_its_messages(self) -> None:
        added = add_task("database", 3, 0)

        [attempt] = drain()

        assert (attempt.id, attempt.ending) == (added.id, "succeeded")
        assert texts(added.id) == lines(added.id, 1, 2, 3)

    def test_a_rollback_leaves_neither(self) -> None:
        with transaction.atomic():
            added = add_task("database", 3, 5)
            transaction.set_rollback(True)

        assert not AddedTask.objects.exists()
        with pytest.raises(TaskResultDoesNotExist):
            write_messages.get_result(added.id)

    def test_without_its_row_there_is_no_job(self) -> None:
        with pytest.raises(DatabaseError), failing_statement("messages_app_addedtask"):
            add_task("database", 3, 5)

        assert_enqueued(write_messages, count=0)


class TestAddingToMemory:
    def test_the_item_is_in_the_queue_and_its_row_waits(self) -> None:
        added = add_task("memory", 2, 0)

        assert len(background_tasks) == 1
        assert AddedTask.objects.get().state == "waiting"
        run_item(Clock())
        assert texts(added.id) == lines(added.id, 1, 2, of=2)

    def test_a_full_queue_takes_no_item_and_leaves_no_row(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tasks, "ROOM_TIMEOUT", 0)
        for _ in range(background_tasks.capacity):
            background_tasks.enqueue(lambda token: None, timeout=0)

        with pytest.raises(QueueFull):
            add_task("memory", 3, 5)

        assert not AddedTask.objects.exists()
        assert len(background_tasks) == background_tasks.capacity


class TestSteps:
    def test_one_message_per_step_and_a_wait_after_each(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        added, clock = add_task("database", 3, 5), Clock()

        with caplog.at_level(logging.INFO):
            run_job(added.id, clock)

        assert texts(added.id) == lines(added.id, 1, 2, 3)
        assert clock.waits == [5, 5, 5]
        assert f"Queued Background Task {added.id} is complete. 3/3" in caplog.messages
        added.refresh_from_db()
        assert (added.state, added.step) == ("done", 3)
        assert added.started_at
        assert added.finished_at
        assert added.created_at <= added.started_at <= added.finished_at

    def test_both_queues_do_the_same(self) -> None:
        from_memory, from_database = add_task("memory", 3, 5), add_task("database", 3, 5)
        run_item(Clock())
        run_job(from_database.id, Clock())

        for added in (from_memory, from_database):
            added.refresh_from_db()
            assert texts(added.id) == lines(added.id, 1, 2, 3)
            assert added.state == "done"

    def test_the_progress_shows_while_it_runs(self) -> None:
        added = add_task("database", 3, 5)
        seen: list[tuple[str, int]] = []

        class Watching(Clock):
            def wait(self, seconds: float | None = None) -> bool:
                added.refresh_from_db()
                seen.append((added.state, added.step))
                return super().wait(seconds)

        run_job(added.id, Watching())

        assert seen == [("running", 1), ("running", 2), ("running", 3)]

    def test_a_job_that_was_not_added_on_the_page_runs_too(self) -> None:
        run_job("by-hand", Clock())

        assert texts("by-hand") == lines("by-hand", 1, 2, 3)

    def test_an_error_in_one_step_is_logged_and_the_next_goes_on(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        added = add_task("memory", 3, 0)

        with caplog.at_level(logging.INFO), failing_statement("INSERT", "2/3"):
            run_item(Clock())

        assert texts(added.id) == lines(added.id, 1, 3)
        expected = "An error occurred writing to the database. Error: the disk is full"
        [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert record.getMessage() == expected
        assert record.exc_info
        added.refresh_from_db()
        assert (added.state, added.step) == ("done", 2)
        assert f"Queued Background Task {added.id} is complete. 3/3" in caplog.messages

    def test_a_message_and_its_progress_are_written_together(self) -> None:
        added = add_task("memory", 1, 0)

        with failing_statement("UPDATE", "addedtask", '"step"'):
            run_item(Clock())

        assert texts(added.id) == []


class TestInterruption:
    def test_a_job_is_handed_back_and_goes_on_where_it_was(self) -> None:
        added = add_task("database", 3, 5)

        with pytest.raises(OperationCancelled):
            run_job(added.id, Clock(cancel_in=1))
        added.refresh_from_db()
        assert (added.state, added.step) == ("waiting", 1)

        run_job(added.id, Clock())
        assert texts(added.id) == lines(added.id, 1, 2, 3)
        added.refresh_from_db()
        assert added.state == "done"

    def test_a_job_that_runs_again_writes_nothing_twice(self) -> None:
        added, again = add_task("database", 3, 5), Clock()
        run_job(added.id, Clock())
        run_job(added.id, again)

        assert texts(added.id) == lines(added.id, 1, 2, 3)
        assert again.waits == []

    def test_a_job_that_runs_again_writes_what_failed_before(self) -> None:
        added = add_task("database", 3, 0)
        with failing_statement("INSERT", "2/3"):
            run_job(added.id, Clock())
        run_job(added.id, Clock())

        assert sorted(texts(added.id)) == lines(added.id, 1, 2, 3)
        added.refresh_from_db()
        assert (added.state, added.step) == ("done", 3)

    def test_a_run_that_was_given_up_does_not_reopen_a_finished_task(self) -> None:
        added = add_task("database", 3, 5)

        class Overtaken(Clock):
            def wait(self, seconds: float | None = None) -> bool:
                run_job(added.id, Clock())
                return super().wait(seconds)

        with pytest.raises(OperationCancelled):
            run_job(added.id, Overtaken(cancel_in=2))

        added.refresh_from_db()
        assert (added.state, added.step) == ("done", 3)
        assert texts(added.id) == lines(added.id, 1, 2, 3)

    def test_a_cancelled_job_writes_nothing_more(self) -> None:
        added, token = add_task("database", 3, 5), CancellationToken()
        token.cancel()

        with pytest.raises(OperationCancelled):
            run_job(added.id, token)

        assert texts(added.id) == []

    def test_an_item_in_memory_says_that_it_was_cancelled(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        added = add_task("memory", 3, 5)

        with caplog.at_level(logging.INFO):
            run_item(Clock(cancel_in=2))

        assert texts(added.id) == lines(added.id, 1, 2)
        assert f"Queued Background Task {added.id} was cancelled." in caplog.messages
        added.refresh_from_db()
        assert added.state == "cancelled"
        assert added.finished_at

    def test_a_cancellation_after_the_last_step_comes_too_late(self) -> None:
        added = add_task("memory", 1, 5)
        run_item(Clock(cancel_in=1))

        added.refresh_from_db()
        assert added.state == "done"


class TestFailure:
    def test_an_item_that_cannot_begin_fails(self) -> None:
        added = add_task("memory", 3, 5)

        with pytest.raises(DatabaseError), failing_statement("SELECT", "messages_app_message"):
            run_item(Clock())

        added.refresh_from_db()
        assert added.state == "failed"

    @pytest.mark.parametrize(
        ("status", "state"),
        [(TaskResultStatus.FAILED, "failed"), (TaskResultStatus.SUCCESSFUL, "waiting")],
    )
    def test_a_job_that_failed_for_good_shows(self, status: TaskResultStatus, state: str) -> None:
        added = add_task("database", 3, 5)
        result = write_messages.get_result(added.id)
        object.__setattr__(result, "status", status)

        task_finished.send(sender=type(write_messages.get_backend()), task_result=result)

        added.refresh_from_db()
        assert added.state == state


class TestPruning:
    def test_old_messages_and_the_ended_tasks_that_wrote_them_go(self) -> None:
        now = timezone.now()
        for number, days in enumerate((40, 31, 29, 0)):
            Message.objects.create(text=f"{days}", task_id=str(number), step=1)
            AddedTask.objects.create(
                id=str(number),
                queue="database",
                steps=1,
                delay=0,
                state=State.DONE if days != 31 else State.WAITING,
                finished_at=now - timedelta(days=days) if days != 31 else None,
            )
            old = Message.objects.filter(task_id=str(number))
            old.update(created_at=now - timedelta(days=days))
        assert prune_messages.func() == 2
        assert [message.text for message in Message.objects.all()] == ["29", "0"]
        assert set(AddedTask.objects.values_list("id", flat=True)) == {"1", "2", "3"}
        assert prune_messages.func(days=10) == 1

    def test_the_schedule_of_the_sample_can_be(self) -> None:
        assert check_hosting() == []
        with started(Scheduler()):
            until(lambda: Schedule.objects.filter(name="prune-messages", is_declared=True))
