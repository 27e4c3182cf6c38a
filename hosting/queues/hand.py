"""A job in the hands of a worker: claimed, and from then on until its outcome is stored."""

from __future__ import annotations

import inspect
import json
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hosting import forks
from hosting.alarm import alarm
from hosting.cancellation import CancellationToken
from hosting.compat import Task
from hosting.queues.carrying import Carried, carried_in
from hosting.queues.declared import ExecutionOptions
from hosting.queues.stores.values import Claim

_changing = forks.lock()

#: Seconds that a job whose time is over has to end in, before it is abandoned.
GRACE = 5.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a job in hand: the NAME of a service, and the process; and since when."""

    service: str
    process: str
    since: float  # of the monotonic clock, as its other times


class JobInHand:
    """A claimed job, and what the worker and the job tell each other while it runs."""

    __slots__ = (
        "__weakref__",
        "_parent",
        "_token",
        "abandon",
        "abandon_at",
        "began",
        "claim",
        "connection",
        "ended",
        "holder",
        "is_cancelled",
        "is_over",
        "is_timed_out",
        "mates",
        "options",
        "plan",
        "progress",
        "runs_alone",
        "stored_progress",
        "thread",
    )

    def __init__(self, claim: Claim, parent: CancellationToken, holder: Holder) -> None:
        self.claim = claim
        self.holder = holder
        self.began = self.ended = 0.0  # its latest attempt; 0: not yet
        self.plan: Plan | None = None  # None until its task is known, as are its options
        self.options: ExecutionOptions | None = None
        self.is_cancelled = False  # by somebody, for good
        self.is_timed_out = False
        self.is_over = False
        self.abandon_at: float | None = None  # of the monotonic clock
        self.abandon: Callable[[JobInHand], object] | None = None  # gives it up, on any thread
        self.progress = self.stored_progress = ""
        self.thread: threading.Thread | None = None
        self.connection: Any = None  # whose transaction it runs in
        self.mates: Sequence[JobInHand] = ()  # that share its transaction, itself among them
        self.runs_alone = False  # as a transaction that it shared has failed
        self._parent = parent
        self._token: CancellationToken | None = None

    @property
    def token(self) -> CancellationToken:
        """Tells the job to end; made when it is first asked for, which for most jobs is never."""
        if self._token is None:
            with _changing:
                if self._token is None:
                    self._token = CancellationToken(self._parent)
                    if self.is_cancelled or self.is_timed_out:
                        self._token.cancel()
        return self._token

    @property
    def is_told_to_end(self) -> bool:
        """Whether the job was asked to end, for whatever reason."""
        return self.is_cancelled or self.is_timed_out or self._parent.is_cancelled

    @property
    def task_path(self) -> str | None:
        """The path of its task; None as long as it is not known to lead to one."""
        return self.plan.task.module_path if self.plan else None

    @property
    def attempt(self) -> int:
        """The number of the attempt, from 1 on, as in `JobContext`."""
        return len(self.claim.record.worker_ids)

    @property
    def carried(self) -> Carried:
        """What the job takes along from whoever enqueued it."""
        return carried_in(self.claim.options)

    def log_fields(self) -> Mapping[str, object]:
        return {"service": self.holder.service, **claim_fields(self.claim)}

    def begin(self) -> None:
        """Note that an attempt begins on this thread, and how long it may take.

        Another attempt may have been undone by then, and its time with it.
        """
        if self.is_timed_out:
            with _changing:
                self.is_timed_out, self._token = False, None
        timeout = self.options.timeout if self.options else None
        if timeout is not None:
            self.thread = threading.current_thread()
            now = time.monotonic()
            self.abandon_at = now + timeout + GRACE
            self._ring_at(now + timeout, JobInHand.time_out)

    def end(self) -> bool:
        """Note that the attempt is over; False if it was so before, as it was abandoned."""
        with _changing:
            was_over, self.is_over = self.is_over, True
        return not was_over

    def cancel(self) -> None:
        """Ask the job to end, and to end for good."""
        with _changing:
            self.is_cancelled = True
        if self._token is not None:
            self._token.cancel()

    def time_out(self) -> None:
        """Ask the job to end, as its time is over."""
        with _changing:
            if self.is_over:
                return
            self.is_timed_out = True
        if self._token is not None:
            self._token.cancel()
        # Not left to the worker's own thread, which may wait for a lock that this job holds.
        if self.abandon is not None and self.abandon_at is not None:
            self._ring_at(self.abandon_at, self.abandon)

    def _ring_at(self, moment: float, call: Callable[[JobInHand], object]) -> None:
        """Have a function called at this moment, if the attempt that now begins still runs."""
        weak, abandon_at = weakref.ref(self), self.abandon_at

        def is_moot() -> bool:
            job = weak()
            return job is None or job.is_over or job.abandon_at != abandon_at

        def ring() -> None:
            if not is_moot() and (job := weak()) is not None:
                call(job)

        alarm.ring_at(moment, ring, is_moot)


def claim_fields(claim: Claim) -> Mapping[str, object]:
    """What records of log say of a claimed job."""
    workers = claim.record.worker_ids
    return {
        "job": str(claim.id),
        "task": claim.task_path,
        "attempt": len(workers),
        "worker": workers[-1] if workers else "",
    }


class Plan:
    """What this process knows of a task, looked up once."""

    __slots__ = ("function", "is_coroutine", "takes_context", "task")

    def __init__(self, task: Task[..., Any]) -> None:
        self.task = task
        self.function = task.func
        self.takes_context = task.takes_context
        self.is_coroutine = inspect.iscoroutinefunction(task.func)


class JobInterruption(BaseException):
    """Ends an attempt from within; no `except Exception` in a task is to catch it."""

    def __init__(self, after: float | timedelta | None) -> None:
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if seconds is not None and not (is_number and 0 <= seconds < float("inf")):
            raise ValueError(f"after is {after!r}, allowed: seconds or a timedelta, 0 or more")
        super().__init__(f"to be run again after {seconds} s")
        self.seconds = seconds


class RetryJob(JobInterruption):
    """The attempt failed in its own judgement."""


class SnoozeJob(JobInterruption):
    """The job asks to come back later; the attempt has not failed."""


def progress_text(done: float, of: float | None, message: str) -> str:
    """What `context.progress` tells, as JSON; raises ValueError or TypeError if it cannot be."""
    values: dict[str, Any] = {"done": done, "of": of, "message": message}
    return json.dumps(values, allow_nan=False)
