"""Has short jobs wait while their worker itself writes to a database that has one writer at a time.

SQLite has whoever finds it locked sleep for a millisecond and more, in which a short job would have
been over several times; and whoever goes on beside the worker takes the interpreter from it again
and again. So before the worker writes it lets the jobs that run come to their end, and no other
begins until it has written. It is a courtesy and no lock: nobody waits for longer than a moment, as
a job may turn out to be long, and another process may keep the worker waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds for which jobs that are to begin wait.
MOMENT = 0.02

#: Seconds for which the worker waits for those that run.
GLANCE = 0.001


class Recess:
    """One at a time; opened by the worker's own thread, kept by those that jobs run on."""

    def __init__(self) -> None:
        self._is_on = threading.Lock()
        self._is_kept = threading.Event()
        self._until = 0.0

    @contextmanager
    def opened(self, *, is_awaited: bool) -> Iterator[None]:
        """A recess; where it `is_awaited`, it begins when a thread has come to it."""
        self._is_kept.clear()
        self._until = time.monotonic() + MOMENT
        with self._is_on:
            if is_awaited:
                self._is_kept.wait(GLANCE)
            yield

    def keep(self) -> None:
        """Wait for the end of the recess, if there is one."""
        if self._is_on.locked():
            self._is_kept.set()
            left = self._until - time.monotonic()
            if left > 0 and self._is_on.acquire(timeout=left):
                self._is_on.release()
