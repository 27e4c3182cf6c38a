"""Jobs of which there is one at a time."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from hosting.models import Job, JobResult, Reservation
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import Failed, Retry, Succeeded
from tests.queues.stores.steps import (
    BROKEN,
    HOUR,
    add,
    claim,
    claim_one,
    finished,
    ids,
    let_reservations_end,
    new_job,
    record_of,
    settle,
)

UNTIL_CLAIMED = {"unique_key": "u", "unique_until_claimed": True}
UNTIL_FINISHED = {"unique_key": "u"}
FOR_A_TIME = {"unique_key": "u", "unique_period": 3600.0}
EVERY_WAY = pytest.mark.parametrize(
    "unique",
    [UNTIL_CLAIMED, UNTIL_FINISHED, FOR_A_TIME],
    ids=["until claimed", "until finished", "for a time"],
)


@EVERY_WAY
def test_the_job_that_is_there_is_returned(store: Store, unique: dict[str, Any]) -> None:
    job = add(store, args="[1]", **unique)

    [record] = store.add([new_job(args="[2]", **unique)])

    assert record == record_of(store, job)
    assert record.args == [1]
    assert Job.objects.count() == 1
    assert add(store, **{**unique, "unique_key": "another"}) != job
    assert add(store) != job


@EVERY_WAY
def test_a_job_that_waits_counts(store: Store, unique: dict[str, Any]) -> None:
    job = add(store, run_after=timezone.now() + HOUR, **unique)

    assert add(store, **unique) == job


@EVERY_WAY
def test_of_a_batch_the_first_is_added(store: Store, unique: dict[str, Any]) -> None:
    jobs = [new_job(**unique) for _ in range(3)]

    assert [record.id for record in store.add(jobs)] == [jobs[0].id] * 3
    assert Job.objects.count() == 1


@EVERY_WAY
def test_of_many_at_once_one_is_added(
    store: Store, unique: dict[str, Any], in_threads: Callable[..., list[Any]]
) -> None:
    added = in_threads(*[lambda: add(store, **unique)] * 6)

    assert set(added) == set(ids(claim(store)))
    assert len(set(added)) == 1


@EVERY_WAY
def test_a_key_is_free_again_if_its_transaction_is_rolled_back(
    store: Store, unique: dict[str, Any]
) -> None:
    with transaction.atomic():
        gone = add(store, **unique)
        assert add(store, **unique) == gone
        transaction.set_rollback(True)

    assert add(store, **unique) != gone
    assert Job.objects.count() == 1


@EVERY_WAY
def test_a_taken_key_does_not_spoil_the_transaction(store: Store, unique: dict[str, Any]) -> None:
    job = add(store, **unique)

    with transaction.atomic():
        assert add(store, **unique) == job
        other = add(store)

    assert ids(claim(store)) == [job, other]


def test_unique_until_it_is_claimed(store: Store) -> None:
    job = add(store, **UNTIL_CLAIMED)
    claimed = claim_one(store)

    second = add(store, **UNTIL_CLAIMED)
    assert second != job
    assert add(store, **UNTIL_CLAIMED) == second

    # The first goes on beside the second.
    store.release([claimed], begun=True)
    assert ids(claim(store)) == [job, second]


def test_unique_until_it_has_ended(store: Store) -> None:
    job = add(store, **UNTIL_FINISHED)
    claimed = claim_one(store)
    [running] = store.add([new_job(**UNTIL_FINISHED)])
    assert running == claimed.record

    settle(store, claimed, Retry(BROKEN, 0))
    assert add(store, **UNTIL_FINISHED) == job
    store.upkeep.promote()
    settle(store, claim_one(store), Failed(BROKEN))
    assert add(store, **UNTIL_FINISHED) != job


def test_unique_for_a_time(store: Store) -> None:
    job = finished(store, Succeeded("5"), **FOR_A_TIME)

    [record] = store.add([new_job(**FOR_A_TIME)])
    assert (record.id, record.return_value) == (job, 5)
    let_reservations_end()
    second = add(store, **FOR_A_TIME)
    assert second != job
    assert add(store, **FOR_A_TIME) == second
    assert Reservation.objects.count() == 1


def test_a_time_that_is_over_before_the_job(store: Store) -> None:
    job = add(store, **FOR_A_TIME)
    let_reservations_end()

    second = add(store, **FOR_A_TIME)
    assert ids(claim(store)) == [job, second]


@pytest.mark.parametrize("how", ["discard", "prune"])
def test_a_key_is_free_once_nothing_is_known_of_its_job(store: Store, how: str) -> None:
    job = finished(store, **FOR_A_TIME)
    if how == "discard":
        assert store.control.discard([job]) == {job}
    else:
        JobResult.objects.all().delete()

    second = add(store, **FOR_A_TIME)
    assert second != job
    assert add(store, **FOR_A_TIME) == second


def test_many_at_once_after_the_time_is_over(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    finished(store, **FOR_A_TIME)
    let_reservations_end()

    added = in_threads(*[lambda: add(store, **FOR_A_TIME)] * 6)

    assert len(set(added)) == 1
    assert Job.objects.count() == 1


def test_many_at_once_once_nothing_is_known_of_its_job(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    for _ in range(3):
        store.control.discard([finished(store, **FOR_A_TIME)])

        added = in_threads(*[lambda: add(store, **FOR_A_TIME)] * 6)

        assert len(set(added)) == 1
        store.control.discard(added)


@pytest.mark.parametrize("unique", [UNTIL_CLAIMED, UNTIL_FINISHED])
def test_a_cancelled_job_leaves_its_key(store: Store, unique: dict[str, Any]) -> None:
    job = add(store, **unique)
    store.control.cancel([job])

    assert add(store, **unique) != job
