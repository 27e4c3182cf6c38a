"""Many calls of one task at once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from hosting.compat import TaskResultStatus, task_backends
from hosting.exceptions import ArgumentError
from hosting.models import Job, JobResult
from tests.queues.at_work import tasks
from tests.queues.conftest import Heard, RunningWorker, until
from tests.queues.tasks import calls

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


def enqueue_many(task: Any, of: Any) -> list[str]:
    ids: list[str] = task_backends["default"].enqueue_many(task, of)
    return ids


def test_every_call_becomes_a_job(worker: Start) -> None:
    ids = enqueue_many(tasks.add_all, [(1,), {"first": 2, "extra": 3}, [4, 5], (6,)])
    worker()
    until(lambda: JobResult.objects.count() == 4)

    results = {str(each.id): each for each in JobResult.objects.all()}
    assert [results[each].return_value for each in ids] == ["1", "5", "9", "6"]
    assert {each.status for each in results.values()} == {TaskResultStatus.SUCCESSFUL}


def test_thousands_from_a_generator_in_order(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(20):
        ids = enqueue_many(tasks.note, ((number,) for number in range(2_500)))

    assert len(set(ids)) == 2_500
    args = {str(each.id): each.args for each in Job.objects.all()}
    assert [args[each] for each in ids] == [f"[{number}]" for number in range(2_500)]
    assert [str(each.id) for each in Job.objects.order_by("rank", "due_at", "id")] == ids


def test_options_of_the_call_hold_for_all(worker: Start) -> None:
    ids = enqueue_many(tasks.fail.using(max_attempts=1, priority=7), [(), ()])
    assert {each.rank for each in Job.objects.all()} == {-7}
    worker()

    until(lambda: JobResult.objects.count() == 2)
    for each in JobResult.objects.filter(id__in=ids):
        assert each.errors.count("exception_class_path") == 1


@pytest.mark.parametrize("wrong", [7, "text", None, {1, 2}], ids=repr)
def test_a_wrong_call_is_refused_with_all_others(wrong: Any) -> None:
    with pytest.raises(TypeError, match="allowed: a tuple of positional or a dict of keyword"):
        enqueue_many(tasks.note, [*[(1,)] * 1_000, wrong])

    assert not Job.objects.exists()


def test_a_wrong_argument_is_refused_with_all_others() -> None:
    with pytest.raises(ArgumentError, match=r"Argument 1 of tests\.queues\.at_work\.tasks\.note"):
        enqueue_many(tasks.note, [*[(1,)] * 1_000, (float("nan"),)])

    assert not Job.objects.exists()


def test_they_belong_to_the_transaction_of_the_caller() -> None:
    with transaction.atomic():
        enqueue_many(tasks.note, [(1,), (2,)])
        transaction.set_rollback(True)

    assert not Job.objects.exists()


def test_no_calls_are_no_jobs() -> None:
    assert enqueue_many(tasks.note, []) == []


def test_unique_calls_among_them_are_one_job(worker: Start, heard: Heard) -> None:
    already = tasks.once.enqueue(1)

    ids = enqueue_many(tasks.once, [(1,), (2,), {"order": 2}, (3,)])

    assert ids[0] == already.id
    assert ids[1] == ids[2]
    assert len(set(ids)) == 3
    assert [name for name, _, _ in heard.signals] == ["enqueued"] * 3
    worker()
    until(lambda: JobResult.objects.count() == 3)
    assert sorted(calls) == [1, 2, 3]


def test_limits_hold_for_them(worker: Start) -> None:
    tasks.crowds.append(tasks.Crowd())
    try:
        enqueue_many(tasks.crowd.using(concurrency=2), [("all", True)] * 6)
        worker(concurrency=4)
        until(lambda: JobResult.objects.filter(status="SUCCESSFUL").count() == 6)
        assert tasks.crowds[0].most == {"all": 2}
    finally:
        tasks.crowds.clear()


def test_a_worker_that_waits_is_told(worker: Start) -> None:
    worker(poll_interval=3600).wait_until_ready()

    enqueue_many(tasks.note, [(1,), (2,)])

    until(lambda: sorted(calls) == [1, 2])
