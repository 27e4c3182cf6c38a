"""A claim is for one attempt: who comes back after it was given to another changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from hosting.ids import uuid7
from hosting.models import Job, JobResult
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import Claim, Failed, Retry, Settlement, Succeeded
from tests.queues.stores.steps import (
    BROKEN,
    add,
    claim_one,
    ids,
    keeps_places,
    record_of,
    settle,
    settlement,
    wanted,
)

RESULTS = [Succeeded("1"), Failed(BROKEN), Retry(BROKEN, 0), Retry(None, 0)]
EVERY_RESULT = pytest.mark.parametrize("result", RESULTS, ids=["done", "failed", "retry", "snooze"])

WAYS: dict[str, Callable[[Store, Claim], object]] = {
    "given back": lambda store, each: store.release([each], begun=True),
    "given back unbegun": lambda store, each: store.release([each], begun=False),
    "rescued": lambda store, each: store.upkeep.rescue(),
    "retried": lambda store, each: (settle(store, each, Retry(None, 0)), store.upkeep.promote()),
    "run again": lambda store, each: (
        settle(store, each, Failed(BROKEN)),
        store.control.retry([each.id]),
    ),
}


@EVERY_RESULT
@pytest.mark.parametrize("way", WAYS)
def test_a_stale_claim_changes_nothing(store: Store, way: str, result: Any) -> None:
    job = add(store)
    stale = claim_one(store, worker_id="stale")
    WAYS[way](store, stale)
    refuses(store, job, stale, result)  # the job waits

    current = claim_one(store, worker_id="current")
    assert current.fence > stale.fence
    refuses(store, job, stale, result)  # another has it

    assert settle(store, current, Succeeded("2"))
    refuses(store, job, stale, result)  # it has ended
    refuses(store, job, current, result)


def test_a_claim_that_a_crash_has_undone_is_stale(store: Store) -> None:
    """As when a replica takes over that has not heard of it."""
    if not keeps_places(store):
        pytest.skip("The database has no replicas, or the store knows nothing of them.")
    job = add(store)
    stale = claim_one(store, worker_id="stale")
    Job.objects.filter(id=job).update(state="ready", claimed_by="", fence=0)

    current = claim_one(store, worker_id="current")
    assert current.fence != stale.fence
    refuses(store, job, stale, Succeeded("1"))
    assert settle(store, current)


def refuses(store: Store, job: Any, stale: Claim, result: Any) -> None:
    """The store takes nothing of who shows this claim, and leaves the job as it is."""
    before = everything()
    assert store.settle([settlement(stale, result, "progress")]).refused == {job}
    assert store.exchange([settlement(stale, result)], wanted(queues=[])).refused == {job}
    assert store.release([stale], begun=True).refused == {stale.id}
    assert store.release([stale], begun=False).refused == {stale.id}
    assert not store.upkeep.begin(job, stale.fence)
    assert everything() == before


def everything() -> list[Any]:
    return [*Job.objects.values(), *JobResult.objects.values()]


@EVERY_RESULT
def test_a_fence_of_the_future_is_refused(store: Store, result: Any) -> None:
    job = add(store)
    claimed = claim_one(store)
    early = Settlement(job, claimed.fence + 1, result)

    assert store.settle([early]).refused == {job}
    assert store.settle([early._replace(id=uuid7())]).refused
    assert store.settle([early._replace(fence=0)]).refused == {job}
    assert settle(store, claimed)


@EVERY_RESULT
def test_what_is_not_claimed_is_not_settled(store: Store, result: Any) -> None:
    job = add(store)

    assert store.settle([Settlement(job, 0, result)]).refused == {job}
    assert ids([claim_one(store)]) == [job]


def test_a_fence_only_grows(store: Store) -> None:
    job = add(store)
    fences = []
    for way in (*WAYS.values(), *WAYS.values()):
        claimed = claim_one(store)
        fences.append(claimed.fence)
        way(store, claimed)

    assert fences == sorted(set(fences))
    assert record_of(store, job).fence == fences[-1]


@EVERY_RESULT
def test_of_two_who_settle_at_once_one_is_heard(
    store: Store, result: Any, in_threads: Callable[..., list[Any]]
) -> None:
    add(store)
    claimed = claim_one(store)

    def either(result: Any) -> Callable[[], bool]:
        return lambda: settle(store, claimed, result)

    assert sorted(in_threads(either(Succeeded("1")), either(result))) == [False, True]


def test_of_a_settler_and_a_rescuer_one_is_heard(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    for _ in range(10):
        job = add(store)
        claimed = claim_one(store)
        accepted, rescue = in_threads(lambda c=claimed: settle(store, c), store.upkeep.rescue)
        assert accepted is (job not in rescue.given_back)
        if not accepted:
            assert settle(store, claim_one(store))
    assert JobResult.objects.count() == 10
