"""Jobs that wait for their time, and then for what their limit allows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from hosting.models import Job, Limit
from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import BATCH
from hosting.queues.stores.values import Failed, LimitRule, Retry, Succeeded
from tests.queues.stores.steps import (
    BLOCKED,
    BROKEN,
    HOUR,
    READY,
    WAITING,
    add,
    add_some,
    at_once,
    can_skip_locked,
    claim,
    claim_one,
    ids,
    let_pass,
    make_due,
    new_job,
    one_at_a_time,
    settle,
    states,
)


def add_waiting(store: Store, **values: Any) -> Any:
    return add(store, run_after=timezone.now() + HOUR, **values)


# Time


def test_only_what_is_due_goes_on(store: Store) -> None:
    due, early = add_waiting(store), add_waiting(store)
    limited = add_waiting(store, limit=one_at_a_time())
    other = add_waiting(store, backend="other", queue_name="mail")
    make_due(due, limited, other)

    assert store.upkeep.promote() == 3
    assert states([due, limited, other, early]) == [READY, BLOCKED, READY, WAITING]
    assert store.upkeep.promote() == 0


def test_what_waited_does_not_stand_behind_what_came_later(store: Store) -> None:
    waited = add_waiting(store)
    late = add(store)
    make_due(waited)
    store.upkeep.promote()

    assert ids(claim(store)) == [waited, late]


def test_time_goes_on_in_batches(store: Store) -> None:
    store.add_many([new_job(run_after=timezone.now() + HOUR) for _ in range(BATCH + 1)])
    make_due(*Job.objects.values_list("id", flat=True))

    assert [store.upkeep.promote() for _ in range(3)] == [BATCH, 1, 0]


def test_what_another_transaction_holds_waits_on(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    if not can_skip_locked():
        pytest.skip("The database has no row locks.")
    held, free = add_waiting(store), add_waiting(store)
    make_due(held, free)

    with transaction.atomic():
        Job.objects.select_for_update().get(id=held)
        assert in_threads(at_once(store.upkeep.promote)) == [1]
    assert states([held, free]) == [WAITING, READY]


def test_all_may_look_at_the_time_at_once(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    jobs = [add_waiting(store) for _ in range(30)]
    make_due(*jobs)

    assert sum(in_threads(*[store.upkeep.promote] * 4)) == 30
    assert set(states(jobs)) == {READY}


# So many at once


def test_no_more_than_the_limit_hold_it(store: Store) -> None:
    jobs = add_some(store, 5, limit=one_at_a_time(running=2))
    free = add(store)
    assert ids(claim(store)) == [free]

    assert store.upkeep.admit() == (2, None)
    assert states(jobs) == [READY, READY, BLOCKED, BLOCKED, BLOCKED]
    assert store.upkeep.admit() == (0, None)  # they count before they run
    first, second = claim(store)
    assert store.upkeep.admit() == (0, None)  # and while they do

    settle(store, first)
    assert store.upkeep.admit() == (1, None)
    settle(store, second, Failed(BROKEN))
    assert store.upkeep.admit() == (1, None)
    assert states(jobs[2:]) == [READY, READY, BLOCKED]


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_given_back_keeps_its_place_in_the_limit(store: Store, begun: bool) -> None:
    job, other = add_some(store, 2, limit=one_at_a_time())
    store.upkeep.admit()
    store.release([claim_one(store)], begun=begun)

    assert store.upkeep.admit() == (0, None)
    assert states([job, other]) == [READY, BLOCKED]


def test_a_job_that_waits_to_be_retried_leaves_the_limit(store: Store) -> None:
    job, other = add_some(store, 2, limit=one_at_a_time())
    store.upkeep.admit()
    claimed = claim_one(store)
    assert claimed.limit_key == "k"
    settle(store, claimed, Retry(BROKEN, 0))

    assert store.upkeep.admit() == (1, None)
    store.upkeep.promote()
    assert states([job, other]) == [BLOCKED, READY]


def test_limits_let_go_in_the_order_of_claims(store: Store) -> None:
    now, rule = timezone.now(), one_at_a_time(running=1)
    low = add(store, limit=rule, priority=-1, run_after=now - 3 * HOUR)
    later, sooner = (add(store, limit=rule, run_after=now - hours * HOUR) for hours in (1, 2))
    high = add(store, limit=rule, priority=1)

    found = []
    while store.upkeep.admit()[0]:
        claimed = claim_one(store)
        found.append(claimed.id)
        settle(store, claimed)
    assert found == [high, sooner, later, low]


def test_each_key_has_a_limit_of_its_own(store: Store) -> None:
    for key, running in (("a", 1), ("b", 2), ("c", 9)):
        add_some(store, 3, limit=one_at_a_time(key, running))

    assert store.upkeep.admit() == (6, None)
    assert sorted(each.limit_key for each in claim(store)) == ["a", "b", "b", "c", "c", "c"]


def test_a_limit_that_changes_holds_from_then_on(store: Store) -> None:
    jobs = add_some(store, 2, limit=one_at_a_time(running=2))
    store.upkeep.admit()
    jobs.append(add(store, limit=one_at_a_time(running=1)))
    assert store.upkeep.admit() == (0, None)
    settle(store, claim(store, limit=1)[0])
    assert store.upkeep.admit() == (0, None)

    jobs.append(add(store, limit=one_at_a_time(running=3)))
    assert store.upkeep.admit() == (2, None)
    assert Limit.objects.count() == 1


def test_the_rule_lasts_longer_than_its_jobs(store: Store) -> None:
    add(store, limit=one_at_a_time())
    store.upkeep.admit()
    settle(store, claim_one(store))
    add_some(store, 2, limit=one_at_a_time())

    assert store.upkeep.admit() == (1, None)


def test_a_job_whose_limit_is_gone_is_free(store: Store) -> None:
    jobs = add_some(store, 3, limit=one_at_a_time())
    Limit.objects.all().delete()

    assert store.upkeep.admit() == (3, None)
    assert ids(claim(store)) == jobs


def test_all_may_admit_at_once(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    jobs = add_some(store, 8, limit=one_at_a_time(running=3))

    admitted = [count for count, _ in in_threads(*[store.upkeep.admit] * 4)]

    assert sum(admitted) == 3
    assert states(jobs).count(READY) == 3


def test_all_may_add_the_first_with_a_key(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    in_threads(*[lambda: add(store, limit=one_at_a_time())] * 6)

    assert Limit.objects.count() == 1
    assert store.upkeep.admit() == (1, None)


# So many in a time


def per(count: int, period: float, running: int | None = None) -> LimitRule:
    return LimitRule(key="k", running=running, count=count, period=period)


def test_a_rate_lets_go_its_count_and_then_one_for_each_share(store: Store) -> None:
    jobs = add_some(store, 10, limit=per(3, 3000.0))

    admitted, seconds = store.upkeep.admit()
    assert (admitted, seconds) == (3, pytest.approx(1000, abs=60))
    assert ids(claim(store)) == jobs[:3]
    admitted, seconds = store.upkeep.admit()
    assert (admitted, seconds) == (0, pytest.approx(1000, abs=60))

    let_pass(1100)
    admitted, seconds = store.upkeep.admit()
    assert (admitted, seconds) == (1, pytest.approx(900, abs=60))
    let_pass(2000)
    assert store.upkeep.admit()[0] == 2
    let_pass(10_000)  # what was not used is not saved up
    assert store.upkeep.admit()[0] == 3
    assert states(jobs).count(BLOCKED) == 1


def test_the_end_of_jobs_gives_a_rate_nothing(store: Store) -> None:
    add_some(store, 3, limit=per(1, 1000.0))
    assert store.upkeep.admit()[0] == 1
    settle(store, claim_one(store), Succeeded("1"))

    assert store.upkeep.admit()[0] == 0


def test_nobody_waits_for_a_rate_that_nobody_exceeds(store: Store) -> None:
    add_some(store, 2, limit=per(3, 1000.0))

    assert store.upkeep.admit() == (2, None)
    assert store.upkeep.admit() == (0, None)


def test_a_rate_and_so_many_at_once(store: Store) -> None:
    jobs = add_some(store, 6, limit=per(4, 4000.0, running=2))

    assert store.upkeep.admit() == (2, None)  # others have to end, time does not help
    for claimed in claim(store):
        settle(store, claimed)
    admitted, seconds = store.upkeep.admit()
    assert (admitted, seconds) == (2, pytest.approx(1000, abs=60))
    for claimed in claim(store):
        settle(store, claimed)
    assert store.upkeep.admit()[0] == 0
    let_pass(1100)
    assert store.upkeep.admit()[0] == 1
    assert states(jobs[4:]) == [READY, BLOCKED]


def test_the_shortest_wait_of_all_rates(store: Store) -> None:
    for key, period in (("a", 4000.0), ("b", 1000.0), ("c", 2000.0)):
        add_some(store, 2, limit=LimitRule(key=key, count=1, period=period))

    assert store.upkeep.admit() == (3, pytest.approx(1000, abs=60))


def test_all_may_admit_by_a_rate_at_once(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    add_some(store, 9, limit=per(4, timedelta(days=1).total_seconds()))

    assert sum(count for count, _ in in_threads(*[store.upkeep.admit] * 4)) == 4
