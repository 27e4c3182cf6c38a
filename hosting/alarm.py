"""One thread that rings at deadlines.

Deadlines are many (a token per stop, later one per job) and few are ever reached, so all of them
wait on one daemon thread with a heap; what a reached one calls gets a thread. A process that was
forked has no threads: the alarm notices the new process id and begins afresh there, as forks by
uWSGI run no at-fork hooks.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable


class Alarm:
    """Calls functions at moments of the monotonic clock, on one shared daemon thread."""

    _thread: threading.Thread | None

    def __init__(self) -> None:
        self._begin_afresh()

    def ring_at(self, deadline: float, callback: Callable[[], object]) -> None:
        """Call `callback` once `time.monotonic()` reaches `deadline` (seconds)."""
        if self._pid != os.getpid():
            self._begin_afresh()
        with self._changed:
            heapq.heappush(self._pending, (deadline, next(self._sequence), callback))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hosting:alarm", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _begin_afresh(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._sequence = itertools.count()
        self._pending: list[tuple[float, int, Callable[[], object]]] = []
        self._thread = None

    def _run(self) -> None:
        while True:
            with self._changed:
                while (delay := self._delay()) is None or delay > 0:
                    self._changed.wait(delay)
                _, _, callback = heapq.heappop(self._pending)
            _ring(callback)
            del callback

    def _delay(self) -> float | None:
        if not self._pending:
            return None
        return min(self._pending[0][0] - time.monotonic(), threading.TIMEOUT_MAX)


def _ring(callback: Callable[[], object]) -> None:
    # What a callback does, or raises, must not hold up the deadlines of others.
    try:
        threading.Thread(target=callback, name="hosting:alarm:ring", daemon=True).start()
    except RuntimeError:  # no more threads to be had, or the interpreter is exiting
        callback()


alarm = Alarm()
