"""Results are kept for a time."""

from datetime import timedelta
from typing import Any

from hosting.compat import TaskResultStatus
from hosting.ids import uuid7
from hosting.models import Job, JobResult, Reservation
from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import BATCH
from hosting.queues.stores.values import Failed
from tests.queues.stores.steps import (
    BROKEN,
    HOUR,
    add,
    claim,
    finished,
    let_reservations_end,
    make_old,
    new_job,
    settlement,
)

SUCCESSFUL, FAILED = TaskResultStatus.SUCCESSFUL, TaskResultStatus.FAILED


def left(*jobs: Any) -> list[bool]:
    known = set(JobResult.objects.values_list("id", flat=True))
    return [job in known for job in jobs]


def old(store: Store, hours: float, *result: Any, **values: Any) -> Any:
    job = finished(store, *result, **values)
    make_old(job, timedelta(hours=hours))
    return job


def test_results_are_deleted_when_they_are_old(store: Store) -> None:
    jobs = [old(store, hours) for hours in (3, 2, 0.5, 0)]

    assert store.upkeep.prune("default", {SUCCESSFUL: 4 * 3600.0}) == 0
    assert store.upkeep.prune("default", {SUCCESSFUL: 3600.0}) == 2
    assert left(*jobs) == [False, False, True, True]
    assert store.upkeep.prune("default", {SUCCESSFUL: 3600.0}) == 0


def test_what_was_made_by_a_clock_that_is_ahead_is_kept_longer(store: Store) -> None:
    job = old(store, 2, id=uuid7())

    assert store.upkeep.prune("default", {SUCCESSFUL: 3600.0}) == 0
    assert left(job) == [True]
    assert store.upkeep.prune("default", {SUCCESSFUL: -1.0}) == 1


def test_each_status_has_its_own_time(store: Store) -> None:
    success, failure = old(store, 2), old(store, 2, Failed(BROKEN))
    older = old(store, 9, Failed(BROKEN))

    assert store.upkeep.prune("default", {SUCCESSFUL: None, FAILED: None}) == 0
    assert store.upkeep.prune("default", {}) == 0
    assert store.upkeep.prune("default", {SUCCESSFUL: None, FAILED: 3 * 3600.0}) == 1
    assert left(success, failure, older) == [True, True, False]
    assert store.upkeep.prune("default", {SUCCESSFUL: 3600.0, FAILED: 3600.0}) == 1
    assert left(success, failure) == [False, False]


def test_a_backend_prunes_its_own_results(store: Store) -> None:
    mine = old(store, 2)
    theirs = add(store, backend="other")
    [claimed] = claim(store, backend="other")
    store.settle([settlement(claimed)])
    make_old(theirs, 2 * HOUR)

    assert store.upkeep.prune("default", {SUCCESSFUL: 0.0}) == 1
    assert left(mine, theirs) == [False, True]
    assert store.upkeep.prune("other", {SUCCESSFUL: 0.0}) == 1


def test_what_has_not_ended_is_not_pruned(store: Store) -> None:
    add(store)
    claim(store)
    add(store)
    Job.objects.update(enqueued_at="2001-01-01 00:00Z", due_at="2001-01-01 00:00Z")

    assert store.upkeep.prune("default", {SUCCESSFUL: 0.0, FAILED: 0.0}) == 0
    assert Job.objects.count() == 2


def test_pruning_goes_in_batches_from_the_oldest(store: Store) -> None:
    store.add_many([new_job() for _ in range(BATCH + 2)])
    claims = claim(store, limit=BATCH + 2)
    store.settle([settlement(each) for each in claims])
    JobResult.objects.update(finished_at="2001-01-01 00:00Z")
    last = max(each.id for each in claims)

    retention = {SUCCESSFUL: 60.0, FAILED: 60.0}
    assert store.upkeep.prune("default", retention) == BATCH
    assert left(last) == [True]
    assert [store.upkeep.prune("default", retention) for _ in range(2)] == [2, 0]


def test_the_largest_batch_is_told(store: Store) -> None:
    for _ in range(3):
        old(store, 2)
    old(store, 2, Failed(BROKEN))

    assert store.upkeep.prune("default", {SUCCESSFUL: 60.0, FAILED: 60.0}) == 3
    assert not JobResult.objects.exists()


def test_keys_that_are_free_are_forgotten(store: Store) -> None:
    add(store, unique_key="over", unique_period=60.0)
    let_reservations_end()
    add(store, unique_key="taken", unique_period=60.0)

    store.upkeep.prune("default", {})

    assert list(Reservation.objects.values_list("key", flat=True)) == ["taken"]
