"""How many short jobs, and groups of atomic ones, are to be executed side by side.

The threads of a process share one interpreter. Where short jobs keep it busy, further threads only
wait for each other: in the middle of their transactions, which hold fewer jobs then, and each costs
a commit; or for the lock of a database that has one writer at a time. Where jobs wait for the
database, another thread can go on meanwhile. So the number follows how much of the time this
process uses a processor. A thread that is held up by a long job does not count.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

#: Seconds of uninterrupted work that are judged together.
WINDOW = 0.05

#: A process that computes for a smaller part of the time has room for another thread.
ROOM = 0.8

#: One that computes for a larger part has too many.
FULL = 0.88

#: Threads to begin with: one computes while the other waits for its commit.
FIRST = 2


class Parallelism:
    """A number of threads, from 1 to `most`; one thread judges, those at work tell of themselves.

    `processor_time` gives the seconds of processor time that this process has used.
    """

    def __init__(
        self,
        most: int,
        clock: Callable[[], float] = time.monotonic,
        processor_time: Callable[[], float] = time.process_time,
    ) -> None:
        self.threads = min(FIRST, most)
        #: How many threads have waited for each other, at the last judgement.
        self.crowd = 1
        self._most = most
        self._clock = clock
        self._processor_time = processor_time
        self._moving: set[int] = set()  # threads that have ended something in this window
        self._dismissals: deque[None] = deque()
        self._is_known = False  # whether there was anything to judge by
        self._was_interrupted = True
        self._began = self._used = 0.0

    def most_of(self, threads: int) -> int:
        """How many of so many threads are worth being woken for short jobs."""
        return min(threads, self.threads) if self._is_known else threads

    def interrupt(self) -> None:
        """Note that there was too little to do to judge by."""
        self._was_interrupted = True

    def is_enough(self, thread: int) -> bool:
        """Note that a thread has ended a job or a group; whether others are enough for the rest.

        If they are, this one has to leave the rest to them.
        """
        if self._dismissals:
            with suppress(IndexError):  # another thread was quicker
                self._dismissals.pop()
                return True
        self._moving.add(thread)
        return False

    def judge(self) -> int:
        """How many more threads there should be, by what was seen since the last judgement."""
        now = self._clock()
        if self._was_interrupted:
            self._begin(now)
            return 0
        if (passed := now - self._began) < WINDOW:
            return 0
        share = (self._processor_time() - self._used) / passed
        moving = len(self._moving)
        self._is_known = moving > 0
        if not self._is_known:
            self._begin(now)
            return 0
        self.crowd = max(1, moving) if share > ROOM else 1
        if share < ROOM and moving >= self.threads:
            self.threads = min(self._most, self.threads + 1)
        elif share > FULL:
            self.threads = max(1, self.threads - 1)
        self._begin(now)
        self._dismissals.extend([None] * (moving - self.threads))
        return max(0, self.threads - moving)

    def _begin(self, now: float) -> None:
        self._was_interrupted = False
        self._moving = set()
        self._dismissals.clear()
        self._began, self._used = now, self._processor_time()
