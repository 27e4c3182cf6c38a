"""Tells observers, where there are any, what has become of jobs in hand, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from hosting.queues.backends import DatabaseBackend
from hosting.queues.execution import JobExpired
from hosting.queues.hand import JobInHand
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import JobCancelled
from hosting.queues.stores.values import Exchange
from hosting.signals import attempts_settled

SUCCESSFUL = "successful"
FAILED = "failed"  # for good
EXPIRED = "expired"  # for good, and was not begun
CANCELLED = "cancelled"  # for good, as somebody asked for that
RETRIED = "retried"  # has failed, and will run again
SNOOZED = "snoozed"  # will run again, and has not failed
RELEASED = "released"  # was handed back, and will run again
REFUSED = "refused"  # its claim was lost: what it did here does not count

#: Every word for what becomes of an attempt.
OUTCOMES = (SUCCESSFUL, FAILED, EXPIRED, CANCELLED, RETRIED, SNOOZED, RELEASED, REFUSED)

_WORDS: Mapping[Ending, str] = {
    Ending.SUCCEEDED: SUCCESSFUL,
    Ending.FAILED: FAILED,
    Ending.RETRYING: RETRIED,
    Ending.SNOOZED: SNOOZED,
    Ending.RELEASED: RELEASED,
}


class SettledAttempt(NamedTuple):
    """What became of an attempt; times in seconds.

    `wait` is from when the job was due until its task was called, by the database's clock as far as
    another process is concerned; both times are None for a task that was not called. `task` is the
    path, None if that leads to no task.
    """

    job: UUID
    task: str | None
    queue: str
    outcome: str
    wait: float | None
    seconds: float | None
    error: BaseException | None


def tell_settled(
    backend: DatabaseBackend,
    service: str,
    outcomes: Iterable[Outcome],
    refused: Collection[UUID] = (),
) -> None:
    """Tell what has become of these, whose outcomes are stored or refused."""
    if attempts_settled.receivers:
        words = ((each.job, _word(each, refused), each.error) for each in outcomes)
        _send(backend, service, words)


def tell_handed_back(
    backend: DatabaseBackend, service: str, jobs: Iterable[JobInHand], done: Exchange
) -> None:
    """Tell that these jobs, which did not end in time, were released."""
    if attempts_settled.receivers:
        words = {**dict.fromkeys(done.cancelled, CANCELLED), **dict.fromkeys(done.refused, REFUSED)}
        _send(backend, service, ((job, words.get(job.claim.id, RELEASED), None) for job in jobs))


def _send(
    backend: DatabaseBackend,
    service: str,
    told: Iterable[tuple[JobInHand, str, BaseException | None]],
) -> None:
    attempts = [_attempt(backend.store, *each) for each in told]
    attempts_settled.send_robust(type(backend), service=service, attempts=attempts)


def _attempt(
    store: Store, job: JobInHand, outcome: str, error: BaseException | None
) -> SettledAttempt:
    claim, wait, seconds = job.claim, None, None
    if job.began:
        wait = max(0.0, store.waited(claim) + job.began - job.holder.since)
        seconds = (job.ended or time.monotonic()) - job.began
    return SettledAttempt(claim.id, job.task_path, claim.queue_name, outcome, wait, seconds, error)


def _word(outcome: Outcome, refused: Collection[UUID]) -> str:
    if refused and outcome.claim.id in refused:
        return REFUSED
    if outcome.error is None and not outcome.is_cancelled:  # as nearly always
        return _WORDS[outcome.ending]
    if outcome.is_cancelled or isinstance(outcome.error, JobCancelled):
        return CANCELLED
    return EXPIRED if isinstance(outcome.error, JobExpired) else _WORDS[outcome.ending]
