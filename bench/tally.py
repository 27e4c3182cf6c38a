"""How many jobs have been started, by all worker processes together.

A file that is mapped into memory: every process counts in a slot of its own, so that counting
costs a fraction of a microsecond, the same for every subject, and asks no database. A process
takes its slot when its first job starts, and leaves the moment and the sum of all slots there.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from pathlib import Path

SLOTS = 1024
_WORDS = 3  # of a slot: jobs started; the first one's moment (monotonic ns); all jobs before it
_SIZE = 8 * _WORDS * (SLOTS + 1)


class Tally:
    """The counter, from either side; word 0 of the file is how many slots are taken."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self._file, _SIZE)
        self._words = memoryview(mmap.mmap(self._file, _SIZE)).cast("Q")
        self._leave_slot()
        os.register_at_fork(after_in_child=self._leave_slot)

    def count(self, jobs: int = 1) -> None:
        """Count jobs of this process that start now; from any thread."""
        with self._lock:
            if not self._slot:
                self._take_slot()
            self._words[self._slot] += jobs

    @property
    def started(self) -> int:
        """Jobs that were started, by all processes."""
        return sum(self._words[slot] for slot in self._slots())

    @property
    def processes(self) -> int:
        """How many processes have started a job."""
        return self._words[0]

    def beginning(self, processes: int) -> tuple[float, int]:
        """When that many processes were at work (monotonic s), and the jobs started before."""
        last = sorted(self._slots(), key=lambda slot: self._words[slot + 1])[processes - 1]
        return self._words[last + 1] / 1e9, self._words[last + 2]

    def _slots(self) -> range:
        return range(_WORDS, _WORDS * (self._words[0] + 1), _WORDS)

    def _take_slot(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            before = self.started
            slot = _WORDS * (self._words[0] + 1)
            self._words[slot + 1] = time.monotonic_ns()
            self._words[slot + 2] = before
            self._words[0] += 1
            self._slot = slot
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _leave_slot(self) -> None:
        self._slot = 0
        self._lock = threading.Lock()
