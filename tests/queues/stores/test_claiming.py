"""Who gets which job, and when."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from hosting.compat import TaskResultStatus
from hosting.models import Job
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import HEAD
from tests.queues.stores.steps import (
    HOUR,
    add,
    add_some,
    at_once,
    can_skip_locked,
    claim,
    claim_one,
    ids,
    keeps_places,
    make_due,
    record_of,
    settlement,
    wanted,
)


def test_a_claim_marks_the_job(store: Store) -> None:
    job = add(store, options='{"a": 1}', queue_name="mail")

    claimed = claim_one(store, worker_id="one")

    record = claimed.record
    assert record == record_of(store, job)
    assert (record.id, record.status, record.fence) == (
        job,
        TaskResultStatus.RUNNING,
        claimed.fence,
    )
    assert claimed.fence > 0
    assert record.worker_ids == ("one",)
    assert record.started_at == record.last_attempted_at
    assert record.started_at is not None
    assert record.started_at >= record.enqueued_at
    assert (claimed.id, claimed.queue_name) == (job, "mail")
    assert (claimed.task_path, claimed.args, claimed.kwargs, claimed.options) == (
        "tests.queues.tasks.add",
        "[1, 2]",
        "{}",
        '{"a": 1}',
    )
    assert (claimed.limit_key, claimed.failures, claimed.deaths) == ("", 0, 0)
    assert not claimed.is_expired
    assert claim(store) == []


def test_claims_come_by_priority_then_due_time_then_id(store: Store) -> None:
    now = timezone.now()
    at_once = add(store)
    low = add(store, priority=-100, run_after=now - 3 * HOUR)
    waited = add(store, run_after=now - HOUR)
    waited_longer = add(store, run_after=now - 2 * HOUR)
    high = add(store, priority=100)
    same = now - timedelta(minutes=5)
    twins = sorted([add(store, priority=5, run_after=same) for _ in range(3)])

    # Those with a run_after became due before the first was enqueued.
    expected = [high, *twins, waited_longer, waited, at_once, low]
    assert ids(claim(store, limit=5)) == expected[:5]
    assert ids(claim(store)) == expected[5:]


@pytest.mark.parametrize("queues", [None, ["b", "a", "c", "none"]])
def test_the_order_goes_across_queues(store: Store, queues: Any) -> None:
    now = timezone.now()
    jobs = [
        add(store, queue_name=queue, priority=priority, run_after=now - minutes * HOUR)
        for queue, priority, minutes in [
            ("a", 0, 3),
            ("b", 0, 2),
            ("c", 9, 1),
            ("a", 9, 0.5),
            ("b", 5, 9),
            ("c", 0, 1),
        ]
    ]

    expected = [jobs[place] for place in (2, 3, 4, 0, 1, 5)]
    assert ids(claim(store, limit=2, queues=queues)) == expected[:2]
    assert ids(claim(store, limit=9, queues=queues)) == expected[2:]


def test_no_more_than_the_limit_is_claimed(store: Store) -> None:
    add_some(store, 5)
    add_some(store, 2, queue_name="mail")

    assert [len(claim(store, limit=2)) for _ in range(5)] == [2, 2, 2, 1, 0]


def test_a_job_is_not_claimed_before_it_is_let_go_on(store: Store) -> None:
    job = add(store, run_after=timezone.now() + HOUR)
    assert claim(store) == []

    make_due(job)
    assert claim(store) == []
    store.upkeep.promote()
    assert ids(claim(store)) == [job]


def test_only_the_named_backend_and_queues_are_claimed(store: Store) -> None:
    other = add(store, backend="other")
    mail = add(store, queue_name="mail")
    news = add(store, queue_name='new\'s "100 %", {}')

    assert claim(store, queues=["none", "of these"]) == []
    assert claim(store, queues=[]) == []
    assert ids(claim(store, queues=["mail", "else"])) == [mail]
    assert ids(claim(store)) == [news]
    assert ids(claim(store, backend="other")) == [other]


def test_all_queues_are_those_with_jobs(store: Store) -> None:
    expected = {add(store, queue_name=f"q{number}") for number in range(7)}
    assert set(ids(claim(store))) == expected

    late = add(store, queue_name="late")
    assert ids(claim(store)) == [late]


def test_settling_and_claiming_at_once(store: Store) -> None:
    done, next_one = add(store), add(store)
    [first] = claim(store, limit=1)

    exchange = store.exchange([settlement(first)], wanted())

    assert exchange.refused == frozenset()
    assert exchange.moment == record_of(store, done).finished_at
    assert ids(exchange.claims) == [next_one]
    assert exchange.claims[0].record == record_of(store, next_one)

    last = store.exchange([settlement(exchange.claims[0])], wanted())
    assert (last.refused, list(last.claims)) == (frozenset(), [])
    assert list(store.exchange([], wanted(queues=[])).claims) == []
    refused = store.exchange([settlement(first)], wanted())
    assert refused.refused == {done}


# Side by side


def test_no_job_is_claimed_twice(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    everything = {*add_some(store, 40), *add_some(store, 40, queue_name="mail")}

    def drain(worker_id: str) -> list[Any]:
        claimed: list[Any] = []
        while store.look("default", None, HEAD).is_ready:
            claimed += ids(claim(store, worker_id=worker_id, limit=3))
        return claimed

    shares = in_threads(*[lambda n=n: drain(f"w{n}") for n in range(4)])
    claimed = [job for share in shares for job in share]

    assert len(claimed) == 80
    assert set(claimed) == everything


def test_a_job_that_another_transaction_holds_is_passed_over(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    if not can_skip_locked():
        pytest.skip("The database has no row locks.")
    held, free = add(store), add(store)

    with transaction.atomic():
        Job.objects.select_for_update().get(id=held)
        assert [ids(claims) for claims in in_threads(at_once(lambda: claim(store)))] == [[free]]
    assert ids(claim(store)) == [held]


# Places


def test_the_search_goes_on_behind_the_last_claim(store: Store) -> None:
    now = timezone.now()
    jobs = [add(store, run_after=now - hours * HOUR) for hours in (5, 4, 3)]
    jobs += [add(store), add(store), add(store, priority=-1)]

    after: dict[str, Any] = {}
    found = []
    for _ in jobs:
        [claimed] = claim(store, limit=1, after=after)
        found.append(claimed.id)
        after[claimed.queue_name] = claimed.key

    assert found == jobs
    assert claim(store, after=after) == []


def test_keys_are_in_the_order_of_claims(store: Store) -> None:
    for priority in (0, 5, -5, 0, 5):
        add(store, priority=priority)
    keys = [each.key for each in claim(store)]

    assert keys == sorted(keys)
    assert [key[0] for key in keys] == [-5, -5, 0, 0, 5]


def test_what_lies_before_a_place_is_found_from_the_head(store: Store) -> None:
    add(store)
    [claimed] = claim(store)
    place = {"default": claimed.key}
    urgent = add(store, priority=1)
    older = add(store, run_after=timezone.now() - HOUR)
    behind = add(store, run_after=record_of(store, claimed.id).enqueued_at + timedelta(seconds=1))
    Job.objects.filter(id=behind).update(state="ready")
    elsewhere = add(store, queue_name="mail")

    found = ids(claim(store, after=place, queues=["default"]))
    assert found == ([behind] if keeps_places(store) else [urgent, older, behind])
    # A queue without a place is searched from its head; but of all, only those with one are.
    also = add(store, queue_name="mail")
    found = ids(claim(store, limit=1, after=place, queues=["default", "mail"]))
    assert found == [elsewhere]
    assert ids(claim(store, after=place)) == ([] if keeps_places(store) else [also])
    claim(store)
    assert store.queue_names("default") == []
