"""The threads that jobs run on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from hosting.threads import ServiceThread


class Crew:
    """At most `size` daemon threads; each, when woken, calls `work`, and then `idle`.

    A thread that does not come back is written off, and another may take its place; if it comes
    back after all, `work` is to say so by False, and the thread ends.
    """

    def __init__(
        self, name: str, size: int, work: Callable[[], bool], idle: Callable[[], object]
    ) -> None:
        self._name = name
        self._size = size
        self._work = work
        self._report_idle = idle
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0  # that may be woken
        self._made = 0
        self._awake = 0

    @property
    def awake(self) -> int:
        """How many threads are at work."""
        return self._awake

    @property
    def idle(self) -> int:
        """How many more threads could be woken."""
        return self._size - self._awake

    def wake(self, count: int) -> None:
        """Have up to so many more threads call `work`."""
        with self._lock:
            for _ in range(min(count, self._size - self._awake)):
                if self._threads == self._awake:
                    ServiceThread(f"{self._name}-{self._made + 1}", self._live)  # or there is none
                    self._threads += 1
                    self._made += 1
                self._awake += 1
                self._calls.put(True)

    def write_off(self) -> None:
        """Count no more on one thread that is awake, and will not come back."""
        with self._lock:
            self._awake -= 1
            self._threads -= 1

    def close(self) -> None:
        """Let every thread end after what it does now; waits for none."""
        for _ in range(self._made):
            self._calls.put(False)

    def _live(self) -> None:
        while self._calls.get():
            if not self._work():
                return  # it was written off meanwhile
            with self._lock:
                self._awake -= 1
            self._report_idle()
