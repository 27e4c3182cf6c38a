"""How attempts end: in a result, in another attempt, or given back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from hosting.compat import TaskResultStatus
from hosting.ids import uuid7
from hosting.models import Job, JobResult
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import Exchange, Failed, Retry, Settlement, Succeeded
from tests.queues.stores.steps import (
    BROKEN,
    OTHER,
    READY,
    RUNNING,
    WAITING,
    add,
    add_some,
    claim,
    claim_one,
    ids,
    make_due,
    record_of,
    settle,
    settlement,
    state_of,
)


def test_a_success_is_kept(store: Store) -> None:
    job = add(store, priority=3, options="{}", run_after=timezone.now() - timedelta(hours=1))
    before = claim_one(store, worker_id="w1").record

    text = '{"a": [1, "100 %s \\"\\\\ \\u0000 ä {}"]}'
    done = store.settle([Settlement(job, before.fence, Succeeded(text))])

    record = record_of(store, job)
    value = {"a": [1, '100 %s "\\ \x00 ä {}']}
    assert (record.status, record.return_value) == (TaskResultStatus.SUCCESSFUL, value)
    assert done == Exchange(frozenset(), record.finished_at, done.claims)
    assert (record.errors, record.worker_ids) == ((), ("w1",))
    assert isinstance(record.finished_at, datetime)
    assert record.started_at is not None
    assert record.finished_at >= record.started_at
    for name in (
        "id",
        "backend",
        "queue_name",
        "priority",
        "task_path",
        "args",
        "kwargs",
        "options",
        "run_after",
        "enqueued_at",
        "started_at",
        "last_attempted_at",
        "fence",
        "damage",
    ):
        assert getattr(record, name) == getattr(before, name), name
    assert not Job.objects.exists()


def test_a_failure_is_kept(store: Store) -> None:
    job = add(store)

    assert settle(store, claim_one(store), Failed(BROKEN))

    record = record_of(store, job)
    assert (record.status, record.return_value) == (TaskResultStatus.FAILED, None)
    assert record.errors == (BROKEN,)
    assert record.finished_at is not None


def test_a_retry_waits_for_its_delay(store: Store) -> None:
    job = add(store)

    assert settle(store, claim_one(store), Retry(BROKEN, 3600))

    row, record = Job.objects.get(id=job), record_of(store, job)
    assert (row.state, row.failures, row.claimed_by) == (WAITING, 1, "")
    assert timedelta(minutes=59) < row.due_at - timezone.now() < timedelta(minutes=61)
    assert (record.status, record.finished_at) == (TaskResultStatus.READY, None)
    assert (record.errors, record.run_after) == ((BROKEN,), None)
    assert claim(store) == []


def test_a_snooze_is_no_failure(store: Store) -> None:
    job = add(store)
    assert settle(store, claim_one(store), Retry(None, 0))

    assert record_of(store, job).errors == ()
    store.upkeep.promote()
    assert claim_one(store).failures == 0


def test_every_attempt_is_remembered(store: Store) -> None:
    job = add(store)
    first = claim_one(store, worker_id="a")
    settle(store, first, Retry(BROKEN, 0))
    store.upkeep.promote()
    second = claim_one(store, worker_id="b")
    assert second.failures == 1
    settle(store, second, Retry(OTHER, -1))
    store.upkeep.promote()
    third = claim_one(store, worker_id="c")
    assert third.record.errors == (BROKEN, OTHER)
    settle(store, third, Failed(BROKEN))

    record = record_of(store, job)
    assert record.worker_ids == ("a", "b", "c")
    assert record.errors == (BROKEN, OTHER, BROKEN)
    assert record.started_at == first.record.started_at
    assert record.last_attempted_at == third.record.last_attempted_at
    moments = [each.record.last_attempted_at for each in (first, second, third)]
    assert moments == sorted(moment for moment in moments if moment)
    assert (record.fence, third.failures) == (third.fence, 2)
    assert first.fence < second.fence < third.fence


def test_errors_of_attempts_stay_when_the_last_one_succeeds(store: Store) -> None:
    job = add(store)
    settle(store, claim_one(store, worker_id="a"), Retry(BROKEN, 0))
    store.upkeep.promote()
    settle(store, claim_one(store, worker_id="b"), Succeeded("1"))

    record = record_of(store, job)
    assert (record.errors, record.worker_ids, record.return_value) == ((BROKEN,), ("a", "b"), 1)


def test_progress_is_kept(store: Store) -> None:
    said = '{"done": 1, "of": null, "message": "\\u0000 100 % \\"ä\\" \\\\ {}"}'
    job = add(store)

    settle(store, claim_one(store), Retry(None, 0), progress="first")
    assert record_of(store, job).progress == "first"
    store.upkeep.promote()
    settle(store, claim_one(store), Retry(None, 0), progress=said)
    store.upkeep.promote()
    claimed = claim_one(store)
    assert claimed.record.progress == said
    settle(store, claimed)
    assert record_of(store, job).progress == said

    other = add(store)
    settle(store, claim_one(store), Failed(BROKEN), progress="last")
    assert record_of(store, other).progress == "last"


@pytest.mark.parametrize("last", [Failed(OTHER), Retry(BROKEN, 60)])
def test_of_a_batch_only_what_is_current_is_settled(store: Store, last: Any) -> None:
    add_some(store, 6)
    claims = claim(store)
    assert store.release([claims[0]], begun=True) == Exchange()
    stale = claims[0].id
    results = [Succeeded("0"), Succeeded("1"), Failed(BROKEN), last]
    batch = [settlement(each, result) for each, result in zip(claims, results, strict=False)]
    wrong_fence = Settlement(claims[4].id, claims[4].fence + 1, Succeeded("4"))
    unknown = Settlement(uuid7(), 1, Succeeded("5"))

    done = store.settle([*batch, wrong_fence, unknown])

    assert done.refused == {stale, wrong_fence.id, unknown.id}
    assert [state_of(each.id) for each in claims] == [
        READY,
        None,
        None,
        WAITING if isinstance(last, Retry) else None,
        RUNNING,
        RUNNING,
    ]
    assert record_of(store, claims[1].id).return_value == 1
    assert record_of(store, claims[2].id).errors == (BROKEN,)
    assert record_of(store, claims[1].id).finished_at == done.moment


def test_nothing_to_settle(store: Store) -> None:
    assert store.settle([]) == Exchange(claims=store.settle([]).claims)
    assert store.release([], begun=True) == Exchange()


def test_settling_in_opposite_orders(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    def settled(batch: list[Settlement]) -> Callable[[], set[Any]]:
        return lambda: {each.id for each in batch} - store.settle(batch).refused

    for result in (Succeeded("1"), Retry(BROKEN, 60), Failed(BROKEN)):
        jobs = set(add_some(store, 40))
        batch = [settlement(each, result) for each in claim(store)]
        accepted = in_threads(settled(batch), settled(batch[::-1]), settled(batch[::2]))
        assert sorted(job for share in accepted for job in share) == sorted(jobs)
    assert JobResult.objects.count() == 80


# Releasing


@pytest.mark.parametrize("begun", [True, False])
def test_a_released_job_can_be_claimed_at_once(store: Store, begun: bool) -> None:
    job, later = add(store), add(store)
    [first] = claim(store, limit=1, worker_id="a")
    due_at = Job.objects.get(id=job).due_at

    assert store.release([first], begun=begun) == Exchange()

    row, record = Job.objects.get(id=job), record_of(store, job)
    assert (row.state, row.claimed_by, row.due_at, row.failures) == (READY, "", due_at, 0)
    assert record.status == TaskResultStatus.READY
    assert record.errors == ()
    assert record.worker_ids == (("a",) if begun else ())
    assert record.started_at == (first.record.started_at if begun else None)
    again = claim(store, worker_id="b")
    assert ids(again) == [job, later]
    assert again[0].fence > first.fence
    assert again[0].key == first.key
    assert again[0].record.worker_ids == (("a", "b") if begun else ("b",))


def test_a_retry_is_due_anew(store: Store) -> None:
    retried, other = add(store), add(store)
    [first] = claim(store, limit=1)
    settle(store, first, Retry(BROKEN, 0))
    store.upkeep.promote()

    assert ids(claim(store)) == [other, retried]
    assert first.id == retried


def test_a_retry_with_another_time_to_wait(store: Store) -> None:
    job = add(store)
    settle(store, claim_one(store), Retry(BROKEN, 3600))
    assert store.upkeep.promote() == 0

    make_due(job)
    assert store.upkeep.promote() == 1
    assert ids(claim(store)) == [job]
