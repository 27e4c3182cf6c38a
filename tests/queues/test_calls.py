"""What projects call beside `task.enqueue`: many calls, batches, steering."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import hosting
from hosting.compat import TaskResultStatus
from hosting.exceptions import ArgumentError
from hosting.models import Job, JobResult
from tests.queues import tasks
from tests.queues.conftest import Heard, RunningWorker, until

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., RunningWorker]


def ended(result: Any) -> Any:
    def has_ended() -> bool:
        result.refresh()
        return bool(result.is_finished)

    until(has_ended)
    return result


class TestMany:
    def test_every_call_becomes_a_job_in_order(self, worker: Start) -> None:
        ids = hosting.enqueue_many(tasks.add, [(1, 2), {"a": 3, "b": 4}, [5]])
        worker()

        results = [ended(tasks.add.get_result(each)) for each in ids]
        assert [each.return_value for each in results] == [3, 7, 5]

    def test_a_thousand_take_one_statement(self) -> None:
        with CaptureQueriesContext(connection) as queries:
            ids = hosting.enqueue_many(tasks.add, ((number,) for number in range(1_500)))

        inserts = [each["sql"] for each in queries if "INSERT" in each["sql"]]
        assert len(inserts) == 2 or connection.vendor == "sqlite"  # which has no round trips
        assert len(set(ids)) == Job.objects.count() == 1_500

    def test_all_are_written_or_none(self) -> None:
        def calls() -> Any:
            yield from ((number,) for number in range(1_200))
            yield (float("nan"),)

        with pytest.raises(ArgumentError, match=r"Argument 1 of tests\.queues\.tasks\.add"):
            hosting.enqueue_many(tasks.add, calls())
        assert not Job.objects.exists()

    @pytest.mark.parametrize("call", [7, "ab", None])
    def test_what_is_no_call_is_refused(self, call: Any) -> None:
        with pytest.raises(TypeError, match="allowed: a tuple of positional or a dict of keyword"):
            hosting.enqueue_many(tasks.add, [call])

    def test_receivers_hear_of_each(self, heard: Heard) -> None:
        ids = hosting.enqueue_many(tasks.add, [(1,), (2,)])

        told = [(name, result.id) for name, _, result in heard.signals]
        assert told == [("enqueued", each) for each in ids]


class TestBatch:
    def test_what_follows_begins_after_all_have_ended(self, worker: Start) -> None:
        with hosting.Batch() as batch:
            follower = batch.then(tasks.note, "then")
            batch.enqueue(tasks.note, "first")
            batch.enqueue(tasks.fail)
            batch.enqueue_many(tasks.note, [("second",), ("third",)])
        worker()

        ended(follower)
        assert tasks.calls[-1] == "then"
        assert sorted(tasks.calls[:-1]) == ["first", "second", "third"]
        assert JobResult.objects.filter(status=TaskResultStatus.FAILED).count() == 1

    def test_an_empty_batch_has_ended(self, worker: Start) -> None:
        worker()
        with hosting.Batch() as batch:
            follower = batch.then(tasks.note, "then")

        ended(follower)
        assert tasks.calls == ["then"]

    def test_it_is_rolled_back_as_a_whole(self) -> None:
        def enqueue_and_fail() -> None:
            with hosting.Batch() as batch:
                batch.enqueue(tasks.note, "never")
                batch.then(tasks.note, "never")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            enqueue_and_fail()
        assert not Job.objects.exists()


class TestSteering:
    def test_a_job_that_does_not_run_is_cancelled_at_once(self) -> None:
        result = tasks.note.enqueue("never")

        assert hosting.cancel(result) is True
        result.refresh()
        assert result.status == TaskResultStatus.FAILED
        assert result.errors[0].exception_class_path.endswith(".JobCancelled")
        assert hosting.cancel(result) is False

    def test_a_failed_one_runs_again(self, worker: Start) -> None:
        worker()
        result = ended(tasks.fail.enqueue())
        assert hosting.retry(result) is True

        until(lambda: (result.refresh(), len(result.errors) == 2)[1])
        assert ended(result).status == TaskResultStatus.FAILED

    def test_one_that_succeeded_does_not(self, worker: Start) -> None:
        worker()
        assert hosting.retry(ended(tasks.add.enqueue(1))) is False

    def test_a_discarded_one_is_gone(self) -> None:
        result = tasks.note.enqueue("never")

        assert hosting.discard(result) is True
        assert not Job.objects.exists()
        assert hosting.discard(result) is False


def test_another_database_may_decide_about_an_enqueue() -> None:
    with transaction.atomic():
        hosting.enqueue_on_commit("default", tasks.add, 1)
        assert not Job.objects.exists()
    assert Job.objects.count() == 1
