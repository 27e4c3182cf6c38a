"""What people do with jobs from outside."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from hosting.compat import TaskResultStatus
from hosting.ids import uuid7
from hosting.models import Job, JobResult
from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import JobCancelled, Rescue
from hosting.queues.stores.values import Exchange, Failed, Retry, Succeeded
from tests.queues.stores.steps import (
    BLOCKED,
    BROKEN,
    HOUR,
    OTHER,
    READY,
    RUNNING,
    WAITING,
    add,
    add_some,
    claim,
    claim_one,
    finished,
    ids,
    one_at_a_time,
    record_of,
    settle,
    settlement,
    state_of,
    states,
)

FAILED = TaskResultStatus.FAILED


def idle(store: Store) -> dict[str, Any]:
    """A job of every state but running."""
    return {
        "ready": add(store),
        "waiting": add(store, run_after=timezone.now() + HOUR),
        "blocked": add(store, limit=one_at_a_time()),
    }


# Cancel


@pytest.mark.parametrize("state", ["ready", "waiting", "blocked"])
def test_a_job_that_does_not_run_ends_at_once(store: Store, state: str) -> None:
    jobs = idle(store)
    job = jobs.pop(state)

    assert store.control.cancel([job]) == {job}

    record = record_of(store, job)
    assert (record.status, record.worker_ids, record.started_at) == (FAILED, (), None)
    assert [error.exception_class for error in record.errors] == [JobCancelled]
    assert record.finished_at is not None
    assert (state_of(job), states(jobs.values())) == (None, list(jobs))
    assert job not in ids(claim(store))
    assert store.control.cancel([job]) == set()
    assert record_of(store, job) == record


def test_what_went_before_is_kept_when_a_job_is_cancelled(store: Store) -> None:
    job = add(store)
    settle(store, claim_one(store, worker_id="a"), Retry(BROKEN, 60), progress="half")
    before = record_of(store, job)
    store.control.cancel([job])

    record = record_of(store, job)
    assert (record.worker_ids, record.progress) == (("a",), "half")
    assert record.errors[:1] == (BROKEN,)
    assert len(record.errors) == 2
    assert record.started_at == before.started_at
    assert record.fence == before.fence


def test_a_job_that_runs_is_asked_to_end(store: Store) -> None:
    job, other = add_some(store, 2)
    claimed, _ = claim(store, worker_id="me")
    third = add(store)
    claim(store, worker_id="you")
    assert store.control.asked_to_end("me") == set()

    assert store.control.cancel([job, third]) == {job, third}

    assert states([job, other, third]) == [RUNNING] * 3
    assert store.control.asked_to_end("me") == {job}
    assert store.control.asked_to_end("you") == {third}
    assert settle(store, claimed, Succeeded("1"))
    assert store.control.asked_to_end("me") == set()
    assert record_of(store, job).status == TaskResultStatus.SUCCESSFUL


@pytest.mark.parametrize("error", [BROKEN, None], ids=["failed", "snoozed"])
def test_who_was_asked_to_end_does_not_come_back(store: Store, error: Any) -> None:
    cancelled, _, done, failed = jobs = add_some(store, 4)
    claims = claim(store, worker_id="me")
    store.control.cancel([cancelled, done, failed])
    results = [Retry(error, 0), Retry(error, 60), Succeeded("1"), Failed(OTHER)]
    batch = [settlement(*pair, "half") for pair in zip(claims, results, strict=True)]

    settled = store.settle(batch)

    assert (settled.refused, settled.cancelled) == (frozenset(), {cancelled})
    assert states(jobs) == [None, WAITING, None, None]
    record = record_of(store, cancelled)
    assert (record.status, record.finished_at) == (FAILED, settled.moment)
    assert (record.worker_ids, record.progress) == (("me",), "half")
    assert record.errors[:-1] == ((error,) if error else ())
    assert record.errors[-1].exception_class is JobCancelled
    assert record_of(store, done).status == TaskResultStatus.SUCCESSFUL
    assert record_of(store, failed).errors == (OTHER,)
    assert not settle(store, claims[0])


@pytest.mark.parametrize("begun", [True, False])
def test_who_was_asked_to_end_is_not_given_back(store: Store, begun: bool) -> None:
    job, other = add_some(store, 2)
    claims = claim(store, worker_id="me")
    store.control.cancel([job])

    released = store.release(claims, begun=begun)

    record = record_of(store, job)
    assert released == Exchange(moment=record.finished_at, cancelled=frozenset({job}))
    assert states([job, other]) == [None, READY]
    assert (record.status, record.worker_ids) == (FAILED, ("me",) if begun else ())
    assert (record.started_at is not None) == begun
    assert [error.exception_class for error in record.errors] == [JobCancelled]


def test_who_was_asked_to_end_is_not_rescued(store: Store) -> None:
    job, other = add_some(store, 2)
    claim(store, worker_id="gone")
    store.control.cancel([job])

    assert store.upkeep.rescue() == Rescue(given_back=(other,), cancelled=(job,))

    record = record_of(store, job)
    assert (record.status, record.worker_ids) == (FAILED, ("gone",))
    assert [error.exception_class for error in record.errors] == [JobCancelled]
    assert states([job, other]) == [None, READY]


def test_of_cancelling_and_retrying_neither_is_lost(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    for _ in range(10):
        job = add(store)
        claimed = claim_one(store)
        in_threads(
            lambda job=job: store.control.cancel([job]),
            lambda claimed=claimed: settle(store, claimed, Retry(BROKEN, 0)),
        )
        assert record_of(store, job).status == FAILED


def test_many_are_cancelled_at_once(store: Store) -> None:
    running = add(store)
    claim(store)
    jobs = set(idle(store).values())
    ended = finished(store, queue_name="other")
    jobs -= {job for job in jobs if state_of(job) in (None, RUNNING)}

    cancelled = store.control.cancel([uuid7(), running, ended, *jobs])

    assert cancelled == {running, *jobs}
    assert state_of(running) == RUNNING
    assert record_of(store, ended).status == TaskResultStatus.SUCCESSFUL
    assert store.control.cancel([]) == set()


def test_a_cancelled_job_is_not_claimed(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    jobs = add_some(store, 40)

    claims, cancelled, more = in_threads(
        lambda: ids(claim(store, worker_id="a")),
        lambda: store.control.cancel(jobs),
        lambda: ids(claim(store, worker_id="b", limit=10)),
    )

    assert cancelled == set(jobs)
    running = {*claims, *more}
    asked = store.control.asked_to_end("a") | store.control.asked_to_end("b")
    ended = set(JobResult.objects.values_list("id", flat=True))
    assert running == asked == set(Job.objects.values_list("id", flat=True))
    assert ended == set(jobs) - running


# Retry


def test_a_failed_job_runs_again(store: Store) -> None:
    job = add(store, queue_name="mail", priority=4, options="{}")
    settle(store, claim_one(store, worker_id="a"), Retry(BROKEN, 0))
    store.upkeep.promote()
    settle(store, claim_one(store, worker_id="b"), Failed(OTHER), progress="half")
    before = record_of(store, job)

    assert store.control.retry([job]) == {job}

    assert not JobResult.objects.exists()
    row, record = Job.objects.get(id=job), record_of(store, job)
    assert (row.state, row.failures, row.deaths, row.claimed_by) == (READY, 0, 0, "")
    assert record.status == TaskResultStatus.READY
    assert record.finished_at is None
    for name in ("errors", "worker_ids", "started_at", "enqueued_at", "progress", "args", "fence"):
        assert getattr(record, name) == getattr(before, name), name
    claimed = claim_one(store, worker_id="c")
    assert (claimed.fence > before.fence, claimed.failures) == (True, 0)
    settle(store, claimed, Failed(BROKEN))
    after = record_of(store, job)
    assert after.errors == (BROKEN, OTHER, BROKEN)
    assert after.worker_ids == ("a", "b", "c")
    assert after.started_at == before.started_at


def test_only_what_has_failed_is_retried(store: Store) -> None:
    jobs = [finished(store), finished(store, Failed(BROKEN)), *idle(store).values()]
    running = add(store)
    claim(store, limit=1)

    assert store.control.retry([*jobs, running, uuid7()]) == {jobs[1]}
    assert store.control.retry([*jobs, running]) == set()
    assert store.control.retry([]) == set()


def test_a_limit_holds_for_a_retry(store: Store) -> None:
    job = add(store, limit=one_at_a_time())
    store.upkeep.admit()
    settle(store, claim_one(store), Failed(BROKEN))
    other = add(store, limit=one_at_a_time())
    store.upkeep.admit()

    store.control.retry([job])

    assert states([job, other]) == [BLOCKED, READY]
    assert store.upkeep.admit() == (0, None)


def test_a_retry_takes_the_unique_key_back(store: Store) -> None:
    job = finished(store, Failed(BROKEN), unique_key="u")

    assert store.control.retry([job]) == {job}

    assert add(store, unique_key="u") == job
    settle(store, claim_one(store), Failed(BROKEN))
    assert add(store, unique_key="u") != job


def test_a_job_whose_key_another_has_is_not_retried(store: Store) -> None:
    job, other = finished(store, Failed(BROKEN), unique_key="u"), finished(store, Failed(BROKEN))
    before = record_of(store, job)
    second = add(store, unique_key="u")

    assert store.control.retry([job, other]) == {other}

    assert (states([job, second]), record_of(store, job)) == ([None, READY], before)
    store.control.discard([second])
    assert store.control.retry([job]) == {job}


def test_of_equal_jobs_that_are_retried_the_first_runs(store: Store) -> None:
    first, second = [finished(store, Failed(BROKEN), unique_key="u") for _ in range(2)]

    assert store.control.retry([second, first]) == {first}
    assert states([first, second]) == [READY, None]


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_key_until_the_claim_is_gone_with_the_claim(store: Store, is_claimed: bool) -> None:
    key = {"unique_key": "u", "unique_until_claimed": True}
    job = add(store, **key)
    claims = claim(store) if is_claimed else []
    store.control.cancel([job])
    store.release(claims, begun=True)

    assert store.control.retry([job]) == {job}

    assert (add(store, **key) == job) is not is_claimed
    assert job in ids(claim(store))
    assert add(store, **key) != job


def test_of_a_retry_and_an_equal_job_one_is_there(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    for number in range(10):
        key = f"u{number}"
        job = finished(store, Failed(BROKEN), unique_key=key)
        retried, there = in_threads(
            lambda job=job: store.control.retry([job]), lambda key=key: add(store, unique_key=key)
        )
        assert (retried == {job}) is (there == job)
        claim(store)


def test_a_cancelled_job_that_is_retried_is_not_asked_to_end(store: Store) -> None:
    job, other = add(store), add(store)
    running = claim(store)[1]
    store.release(claim(store), begun=True)
    store.control.cancel([job, other])
    settle(store, running, Failed(BROKEN))
    store.control.retry([other])

    assert ids(claim(store, worker_id="you")) == [other]
    assert store.control.asked_to_end("you") == set()


def test_all_may_retry_at_once(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    jobs = {finished(store, Failed(BROKEN)) for _ in range(8)}

    shares = in_threads(*[lambda: store.control.retry(jobs)] * 4)

    assert sorted(job for share in shares for job in share) == sorted(jobs)
    assert sorted(ids(claim(store))) == sorted(jobs)


# Discard


def test_what_does_not_run_is_forgotten(store: Store) -> None:
    ended = [finished(store), finished(store, Failed(BROKEN))]
    running = add(store)
    claimed = claim_one(store)
    kept = finished(store, queue_name="other") if add(store) else None
    jobs = [job for job in idle(store).values() if state_of(job) != RUNNING]

    assert store.control.discard([*ended, *jobs, running, uuid7()]) == {*ended, *jobs}

    assert store.get([*ended, *jobs]) == {}
    assert settle(store, claimed)
    assert record_of(store, kept) is not None
    assert store.control.discard([]) == set()


def test_a_discarded_job_is_not_claimed(store: Store, in_threads: Callable[..., list[Any]]) -> None:
    jobs = add_some(store, 40)

    claimed, discarded = in_threads(
        lambda: set(ids(claim(store, limit=20))), lambda: store.control.discard(jobs)
    )

    assert claimed | discarded <= set(jobs)
    assert not claimed & discarded
    assert set(Job.objects.values_list("id", flat=True)) == set(jobs) - discarded


# Due now


def test_what_waits_for_its_time_is_due_now(store: Store) -> None:
    later = timezone.now() + HOUR
    limited = add(store, run_after=later, limit=one_at_a_time())
    job, claimed = add(store, run_after=later), (add(store), claim_one(store))[1]
    others = [add(store), claimed.id, uuid7()]

    assert store.control.hasten([job, limited, *others]) == {job, limited}

    assert states([job, limited]) == [READY, BLOCKED]
    assert job in ids(claim(store))


# Queues


def test_queues_are_paused_and_resumed(store: Store) -> None:
    control = store.control
    assert control.paused_queues("default") == frozenset()
    assert [control.pause_queue("default", name) for name in ("a", "b", "a")] == [True, True, False]
    control.pause_queue("other", "c")
    assert control.paused_queues("default") == {"a", "b"}
    assert [control.resume_queue("default", name) for name in ("a", "a", "c")] == [
        True,
        False,
        False,
    ]
    assert control.paused_queues("default") == {"b"}
