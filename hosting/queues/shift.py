"""A worker's shift: claim what is due for the free slots, have it executed, wait, and begin again.

The loop waits for three things at once, by one event: a job was enqueued in this process, a job of
its own has ended, it is to stop; and it looks by itself every `poll_interval`, or when the next job
falls due if that is sooner. It never claims more than it can execute at once, so other workers get
the rest.

The end of a shift: no more claims; the jobs in hand get most of the time there is to finish; then
their tokens are cancelled, and those that end by that are handed back; a moment later the claims
that are left are released too. Such a job runs again elsewhere, and what its abandoned thread wants
to settle later is refused by the fence.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hosting.cancellation import CancellationToken
from hosting.queues.backends import DatabaseBackend
from hosting.queues.execution import Executor
from hosting.queues.outage import DATABASE_TROUBLE, Outage
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.stores.base import Claim
from hosting.queues.threads import JobThreads
from hosting.queues.wakeup import subscribed, wake

logger = logging.getLogger(__name__)

#: Share of the time for stopping that jobs get to finish in before they are told to end.
FINISH_SHARE = 0.8

#: Seconds that jobs have to end once they are told so, if the time for stopping has no end.
MOMENT = 0.1


class StopOrder:
    """When a shift has to be over: until then `told` says when jobs are told to end."""

    def __init__(self) -> None:
        self.told = CancellationToken()
        self._deadline: CancellationToken | None = None

    def give(self, deadline: CancellationToken) -> None:
        """Order the shift to be over before the token is cancelled."""
        self._deadline = deadline
        deadline.register(self.told.cancel)
        if deadline.remaining is not None:
            self.told.cancel_after(deadline.remaining * FINISH_SHARE)

    @property
    def moment(self) -> float:
        """Seconds that jobs have left to end in: half of what remains; the rest is to release."""
        remaining = self._deadline.remaining if self._deadline else None
        return MOMENT if remaining is None else remaining / 2

    def allows(self, seconds: float) -> bool:
        """Wait so long, to try something again; False if the time is over."""
        return self._deadline is not None and not self._deadline.wait(seconds)


@dataclass(slots=True)
class Tally:
    """What a worker has done so far; attempts, not jobs."""

    executed: int = 0
    failed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, outcome: Outcome) -> None:
        """Add an attempt; one that was handed back or refused is not counted."""
        if not outcome.accepted or outcome.ending is Ending.RELEASED:
            return
        with self._lock:
            self.executed += 1
            self.failed += outcome.ending is not Ending.SUCCEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What a shift is to do, and for whom."""

    service: str
    backend: DatabaseBackend
    queues: Collection[str] | None  # None: all
    concurrency: int
    poll_interval: float  # seconds
    call: Callable[..., Any]  # calls a function here, or a coroutine function on the event loop
    ready: Callable[[], None]  # told after every successful look at the queue


@dataclass(frozen=True, slots=True)
class JobInHand:
    """A claimed job and the token that tells it to end."""

    claim: Claim
    token: CancellationToken


class Shift:
    """One run of a worker; it has a worker id, threads and claims of its own."""

    def __init__(self, duty: Duty, order: StopOrder, tally: Tally) -> None:
        self.worker_id = _worker_id(duty.service)
        self._duty = duty
        self._order = order
        self._tally = tally
        self._store = duty.backend.store
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._in_hand: dict[UUID, JobInHand] = {}
        self._told = CancellationToken()  # parent of every job's token
        self._give_up = CancellationToken()
        self._executor = Executor(duty.service, duty.backend, duty.call, self._give_up)
        self._threads = JobThreads(f"hosting:{duty.service}:job", duty.concurrency, self._execute)
        self._outage = Outage(self._store.alias, duty.service)

    @property
    def running(self) -> int:
        """How many jobs are in hand."""
        return len(self._in_hand)

    def work(self, stopping: CancellationToken) -> None:
        """Claim and execute until `stopping` is cancelled, then end the jobs in hand."""
        with ExitStack() as stack:
            stack.callback(self._threads.close)
            stack.enter_context(subscribed(self._store.alias, self._wake.set))
            stack.enter_context(stopping.register(self._wake.set))
            stack.enter_context(self._order.told.register(self._wake.set))
            while True:
                self._wake.clear()
                if stopping.is_cancelled:
                    break
                self._look(stopping)
            self._finish()

    # Claim

    def _look(self, stopping: CancellationToken) -> None:
        """Look at the queue once, and wait until it is time for the next look."""
        try:
            pause = self._claim()
        except DATABASE_TROUBLE as error:
            stopping.wait(self._outage.note(error))
        else:
            self._wake.wait(pause)

    def _claim(self) -> float | None:
        """Claim for the free slots; seconds until the next look, None if there is no free slot."""
        free = self._duty.concurrency - len(self._in_hand)
        if free <= 0:
            return None
        if self._outage.has_begun:
            self._release_strays()
        scope = (self._duty.backend.alias, self._duty.queues)
        claims = self._store.claim(self.worker_id, *scope, free)
        self._outage.end()
        for claim in claims:
            self._begin(claim)
        self._duty.ready()
        if len(claims) == free:
            return None
        return self._pause(self._store.seconds_until_due(*scope))

    def _pause(self, seconds_until_due: float | None) -> float:
        interval = self._duty.poll_interval
        # A job that is due and was not claimed is in another's hands: waiting for it is no hurry.
        if seconds_until_due is None or seconds_until_due <= 0:
            return interval
        return min(interval, seconds_until_due + 0.001)

    def _release_strays(self) -> None:
        """Release what was claimed for this worker by a statement whose answer was lost."""
        strays = [
            claim for claim in self._store.held_by(self.worker_id) if claim.id not in self._in_hand
        ]
        self._store.release(strays)

    # Execute

    def _begin(self, claim: Claim) -> None:
        job = JobInHand(claim, CancellationToken(self._told))
        with self._lock:
            self._in_hand[claim.id] = job
        self._threads.submit(job)

    def _execute(self, job: JobInHand) -> None:
        try:
            self._tally.count(self._executor.execute(job.claim, job.token))
        except BaseException as error:
            logger.error("The outcome of a job could not be stored", exc_info=error)
            self._log_each(logging.ERROR, [job.claim], "could not be ended; it stays claimed")
        finally:
            with self._lock:
                self._in_hand.pop(job.claim.id, None)
            self._wake.set()

    # Finish

    def _finish(self) -> None:
        self._wait_for_jobs(self._order.told)
        if self._in_hand:
            self._told.cancel()
            moment = CancellationToken()
            moment.cancel_after(self._order.moment)
            self._wait_for_jobs(moment)
            self._hand_back()
        self._give_up.cancel()

    def _wait_for_jobs(self, until: CancellationToken) -> None:
        """Wait until no job is in hand, or the token is cancelled."""
        with until.register(self._wake.set):
            while True:
                self._wake.clear()
                if not self._in_hand or until.is_cancelled:
                    return
                self._wake.wait()

    def _hand_back(self) -> None:
        """Release the claims of the jobs that did not end; their threads are abandoned."""
        with self._lock:
            claims = [job.claim for job in self._in_hand.values()]
        while claims:
            try:
                released = self._store.release(claims)
            except DATABASE_TROUBLE as error:
                if self._order.allows(self._outage.note(error)):
                    continue
                self._log_each(logging.ERROR, claims, "did not end, and could not be handed back")
            else:
                left = [claim for claim in claims if claim.id in released]
                self._log_each(logging.WARNING, left, "did not end, and was handed back")
                wake(self._store.alias)
            return

    def _log_each(self, level: int, claims: Collection[Claim], what: str) -> None:
        for claim in claims:
            task, job = claim.record.task_path, str(claim.id)
            extra = {"service": self._duty.service, "job": job, "task": task}
            logger.log(level, "Job %s (%s) %s", job, task, what, extra=extra)


def _worker_id(service: str) -> str:
    """Unique for every shift, and under 64 characters: host, process, service, and a random end."""
    host = socket.gethostname()
    return f"{host[:24]}:{os.getpid()}:{service[:18]}:{secrets.token_hex(4)}"
