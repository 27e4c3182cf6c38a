"""One thread that rings at deadlines.

Deadlines are many (a token per stop, one for each job with a timeout and for each thread that waits
for its database) and few are ever reached, so all of them wait on one daemon thread with a heap;
what a reached one calls gets a thread. Whoever sets one says how to know that it is moot; those are
dropped, so that they neither pile up nor cost a thread each. A process that was forked has no
threads: the alarm notices the new process id and begins afresh there, as forks by uWSGI run no
at-fork hooks.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable

#: How many deadlines there are before those that are moot are looked for.
MANY = 1000


_Pending = tuple[float, int, Callable[[], object], Callable[[], bool]]


class Alarm:
    """Calls functions at moments of the monotonic clock, on one shared daemon thread."""

    _thread: threading.Thread | None

    def __init__(self) -> None:
        self._begin_afresh()

    def ring_at(
        self,
        deadline: float,
        callback: Callable[[], object],
        is_moot: Callable[[], bool] = lambda: False,
    ) -> None:
        """Call `callback` once `time.monotonic()` reaches `deadline` (seconds), unless it is moot.

        `is_moot` is asked at any time and on any thread; what it has once said stays so.
        """
        if self._pid != os.getpid():
            self._begin_afresh()
        with self._changed:
            number = next(self._sequence)
            heapq.heappush(self._pending, (deadline, number, callback, is_moot))
            if len(self._pending) >= self._many:
                self._forget_moot()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hosting:alarm", daemon=True)
                self._thread.start()
            elif self._pending and self._pending[0][1] == number:  # sooner than all others
                self._changed.notify()

    def _begin_afresh(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._sequence = itertools.count()
        self._pending: list[_Pending] = []
        self._many = MANY
        self._thread = None

    def _forget_moot(self) -> None:
        self._pending = [each for each in self._pending if not each[3]()]
        heapq.heapify(self._pending)
        self._many = max(MANY, 2 * len(self._pending))

    def _run(self) -> None:
        while True:
            with self._changed:
                while (delay := self._delay()) is None or delay > 0:
                    self._changed.wait(delay)
                _, _, callback, is_moot = heapq.heappop(self._pending)
            if not is_moot():
                _ring(callback)
            del callback, is_moot

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
