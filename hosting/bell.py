"""A wait that any thread can end."""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType


class Bell:
    """While its `with` block runs, `wait` waits until somebody has rung."""

    def __init__(self) -> None:
        self._rung = self._rope = -1
        # A number of a file that was closed may be that of another; a signal may ring, too.
        self._lock = threading.RLock()

    def __enter__(self) -> Bell:
        self._rung, self._rope = os.pipe()
        for end in (self._rung, self._rope):
            os.set_blocking(end, False)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            ends, self._rung, self._rope = (self._rung, self._rope), -1, -1
            for end in ends:
                os.close(end)

    def ring(self) -> None:
        """End the wait, or the next one; from any thread."""
        with self._lock, suppress(OSError):  # it is full of rings, or nobody waits any more
            os.write(self._rope, b".")

    def wait(self, seconds: float | None, others: Iterable[int] = ()) -> None:
        """Wait up to `seconds` (None: for ever), or until one of `others` is readable."""
        with selectors.DefaultSelector() as selector:
            for descriptor in (self.fileno(), *others):
                selector.register(descriptor, selectors.EVENT_READ)
            selector.select(seconds)
        self.hush()

    def fileno(self) -> int:
        """A descriptor that is readable from a ring until `hush`, for a selector."""
        return self._rung

    def hush(self) -> None:
        """Forget what was rung so far."""
        with suppress(BlockingIOError):
            os.read(self._rung, 4096)
