"""A job in the hands of a worker: claimed, and from then on until its outcome is stored."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

from hosting.cancellation import CancellationToken
from hosting.queues.declared import ExecutionOptions
from hosting.queues.stores.values import Claim

_making = threading.Lock()


class JobInHand:
    """A claimed job, and what the worker and the job tell each other while it runs."""

    __slots__ = (
        "_parent",
        "_token",
        "abandon_at",
        "begun_at",
        "claim",
        "is_abandoned",
        "is_cancelled",
        "is_timed_out",
        "options",
        "progress",
        "thread",
    )

    def __init__(self, claim: Claim, parent: CancellationToken) -> None:
        self.claim = claim
        self.begun_at: float | None = None  # of the monotonic clock
        self.abandon_at: float | None = None
        self.is_cancelled = False  # by somebody, for good
        self.is_timed_out = False
        self.is_abandoned = False
        self.progress = ""
        self.options: ExecutionOptions | None = None  # None until its task is known
        self.thread: threading.Thread | None = None
        self._parent = parent
        self._token: CancellationToken | None = None

    @property
    def token(self) -> CancellationToken:
        """Tells the job to end; made when it is first asked for, which for most jobs is never."""
        if self._token is None:
            with _making:
                if self._token is None:
                    self._token = CancellationToken(self._parent)
                    if self.is_cancelled or self.is_timed_out:
                        self._token.cancel()
        return self._token

    @property
    def is_told_to_end(self) -> bool:
        """Whether the job was asked to end, for whatever reason."""
        return self.is_cancelled or self.is_timed_out or self._parent.is_cancelled

    def cancel(self) -> None:
        """Ask the job to end, and to end for good."""
        self.is_cancelled = True
        if self._token is not None:
            self._token.cancel()

    def time_out(self) -> None:
        """Ask the job to end, as its time is over."""
        self.is_timed_out = True
        if self._token is not None:
            self._token.cancel()


class JobInterruption(BaseException):
    """Ends an attempt from within; no `except Exception` in a task is to catch it."""

    def __init__(self, after: float | timedelta | None) -> None:
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise ValueError(f"after is {after!r}, allowed: seconds or a timedelta, 0 or more")
        super().__init__(f"to be run again after {seconds} s")
        self.seconds = seconds


class RetryJob(JobInterruption):
    """The attempt failed in its own judgement."""


class SnoozeJob(JobInterruption):
    """The job asks to come back later; the attempt has not failed."""


def progress_text(done: float, of: float | None, message: str) -> str:
    """What `context.progress` tells, as JSON."""
    values: dict[str, Any] = {"done": done, "of": of, "message": message}
    return json.dumps(values)
