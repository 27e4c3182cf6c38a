"""What becomes of the jobs of processes that are gone."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from hosting.compat import TaskResultStatus
from hosting.models import HostProcess, Job
from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import BATCH, MAX_DEATHS, Rescue, WorkerLost
from hosting.queues.stores.values import Failed, Retry, Succeeded
from tests.queues.stores.steps import (
    BROKEN,
    READY,
    RUNNING,
    add,
    add_some,
    at_once,
    can_skip_locked,
    claim,
    claim_one,
    ids,
    let_die,
    new_job,
    record_of,
    settle,
    state_of,
    states,
)

NOTHING = Rescue()


def die(store: Store, process: str = "w", begun: list[Any] | None = None) -> list[Any]:
    """Have a process claim all there is, begin some of it, and die; what it had claimed."""
    store.upkeep.renew(process, 60)
    claims = claim(store, worker_id=process)
    for each in claims:
        if begun is None or each.id in begun:
            assert store.upkeep.begin(each.id, each.fence)
    let_die(process)
    return claims


def test_jobs_of_a_process_that_lives_are_its_own(store: Store) -> None:
    add_some(store, 2)
    store.upkeep.renew("w", 60)
    claims = claim(store)

    assert store.upkeep.rescue() == NOTHING
    assert all(settle(store, each) for each in claims)


@pytest.mark.parametrize("alive", ["", "a", "c", "e", "ae", "bd", "abd", "bcde", "abcde"])
def test_whatever_the_names_of_processes(store: Store, alive: str) -> None:
    jobs = {name: add(store) for name in "abcde"}
    for name in jobs:
        claim(store, worker_id=name, limit=1)
    for name in alive:
        store.upkeep.renew(name, 60)

    rescue = store.upkeep.rescue()
    assert set(rescue.given_back) == {jobs[name] for name in jobs if name not in alive}


def test_jobs_of_a_process_whose_time_is_over_are_given_back(store: Store) -> None:
    job = add(store)
    due_at = Job.objects.get(id=job).due_at
    [zombie] = die(store)
    ready = add(store)

    assert store.upkeep.rescue() == Rescue(given_back=(job,))

    row, record = Job.objects.get(id=job), record_of(store, job)
    assert (row.state, row.claimed_by, row.due_at) == (READY, "", due_at)
    assert (row.deaths, row.failures) == (1, 0)
    assert (record.worker_ids, record.errors) == (("w",), ())
    assert record.started_at == zombie.record.started_at
    assert store.upkeep.rescue() == NOTHING
    again = claim(store, worker_id="other")
    assert ids(again) == [job, ready]
    assert (again[0].deaths, again[1].deaths) == (1, 0)


def test_jobs_of_an_unknown_process_are_given_back(store: Store) -> None:
    job = add(store)
    claim(store, worker_id="never seen")

    assert store.upkeep.rescue() == Rescue(given_back=(job,))


def test_jobs_of_a_process_that_has_retired_are_given_back(store: Store) -> None:
    job = add(store)
    store.upkeep.renew("w", 60)
    claim(store)
    store.upkeep.retire("w")

    assert store.upkeep.rescue() == Rescue(given_back=(job,))


def test_a_process_that_comes_back_in_time_keeps_its_jobs(store: Store) -> None:
    add(store)
    [claimed] = die(store)
    store.upkeep.renew("w", 60)

    assert store.upkeep.rescue() == NOTHING
    assert settle(store, claimed)
    assert HostProcess.objects.count() == 1


def test_what_is_not_claimed_is_not_rescued(store: Store) -> None:
    waiting = add(store)
    settle(store, claim_one(store), Retry(BROKEN, 3600))
    job = add(store)
    done = add(store)
    for each in claim(store):
        if each.id == done:
            settle(store, each)
        else:
            store.release([each], begun=True)

    assert store.upkeep.rescue() == NOTHING
    assert states([waiting, job]) == ["waiting", READY]


@pytest.mark.parametrize("result", [Succeeded("1"), Failed(BROKEN), Retry(BROKEN, 0)])
def test_a_zombie_changes_nothing(store: Store, result: Any) -> None:
    job = add(store)
    [zombie] = die(store)
    store.upkeep.rescue()

    assert not settle(store, zombie, result)
    assert store.release([zombie], begun=True).refused == {zombie.id}
    assert not store.upkeep.begin(job, zombie.fence)
    assert state_of(job) == READY

    current = claim_one(store, worker_id="other")
    store.upkeep.renew("other", 60)
    before = record_of(store, job)
    assert not settle(store, zombie, result)
    assert store.release([zombie], begun=False).refused == {zombie.id}
    assert not store.upkeep.begin(job, zombie.fence)
    assert record_of(store, job) == before
    assert settle(store, current)


# Who has killed it


def test_the_first_death_counts_for_everybody(store: Store) -> None:
    add_some(store, 3)
    die(store, begun=[])
    store.upkeep.rescue()

    assert [each.deaths for each in claim(store)] == [1, 1, 1]


def test_further_deaths_count_for_those_that_had_begun(store: Store) -> None:
    guilty, innocent = add_some(store, 2)
    for process in "abc":
        die(store, process, begun=[guilty])
        store.upkeep.rescue()

    assert state_of(guilty) is None
    [claimed] = claim(store)
    assert (claimed.id, claimed.deaths) == (innocent, 1)


def test_an_attempt_that_had_begun_counts_once(store: Store) -> None:
    job = add(store)
    die(store, "a")
    store.upkeep.rescue()
    settled = claim_one(store)
    store.upkeep.begin(job, settled.fence)
    settle(store, settled, Retry(None, 0))
    store.upkeep.promote()

    die(store, "b", begun=[])  # it had begun before, but not this time
    store.upkeep.rescue()
    assert claim_one(store).deaths == 1


def test_a_job_that_keeps_killing_is_buried(store: Store) -> None:
    job = add(store)
    for death in range(1, MAX_DEATHS):
        die(store, f"w{death}")
        assert store.upkeep.rescue() == Rescue(given_back=(job,))
        assert Job.objects.get(id=job).deaths == death
    [zombie] = die(store, "last")
    innocent = add(store)

    assert store.upkeep.rescue() == Rescue(buried=(job,))

    record = record_of(store, job)
    assert record.status == TaskResultStatus.FAILED
    assert record.worker_ids == (*[f"w{n}" for n in range(1, MAX_DEATHS)], "last")
    [error] = record.errors
    assert error.exception_class is WorkerLost
    assert "last" in error.traceback
    assert str(MAX_DEATHS) in error.traceback
    assert record.finished_at is not None
    assert not settle(store, zombie)
    assert record_of(store, job) == record
    assert ids(claim(store)) == [innocent]


def test_a_buried_job_can_be_retried(store: Store) -> None:
    job = add(store)
    for process in "abc":
        [last] = die(store, process)
        store.upkeep.rescue()

    assert store.control.retry([job]) == {job}
    claimed = claim_one(store)
    assert (claimed.deaths, claimed.fence > last.fence) == (0, True)
    assert [error.exception_class for error in claimed.record.errors] == [WorkerLost]


def test_only_the_current_claim_can_begin(store: Store) -> None:
    job = add(store)
    claimed = claim_one(store)

    assert not store.upkeep.begin(job, claimed.fence + 1)
    assert store.upkeep.begin(job, claimed.fence)
    assert store.upkeep.begin(job, claimed.fence)
    settle(store, claimed)
    assert not store.upkeep.begin(job, claimed.fence)


# Side by side


def test_all_may_rescue_at_once(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    jobs = add_some(store, 30)
    die(store)

    rescues = in_threads(*[store.upkeep.rescue] * 4)

    assert sorted(job for each in rescues for job in each.given_back) == sorted(jobs)
    assert set(Job.objects.values_list("deaths", flat=True)) == {1}


def test_a_job_that_another_transaction_holds_is_left_for_later(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    if not can_skip_locked():
        pytest.skip("The database has no row locks.")
    held, free = add_some(store, 2)
    die(store)

    with transaction.atomic():
        Job.objects.select_for_update().get(id=held)
        assert in_threads(at_once(store.upkeep.rescue)) == [Rescue(given_back=(free,))]
    assert state_of(held) == RUNNING


def test_a_sweep_is_bounded(store: Store) -> None:
    store.add_many([new_job() for _ in range(BATCH + 1)])
    claim(store, limit=BATCH + 1, worker_id="dead")

    assert [len(store.upkeep.rescue().given_back) for _ in range(3)] == [BATCH, 1, 0]
