"""Jobs that may have killed a worker: each runs alone, so if it does it again, it was that one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from hosting.queues.hand import JobInHand
from hosting.queues.outage import DATABASE_TROUBLE, PATIENCE
from hosting.queues.stores.base import Store
from hosting.scope import refresh_connections


class Suspects:
    """Those of one worker that wait for each other; `execute` runs one, as `run` says."""

    def __init__(self, store: Store, execute: Callable[[JobInHand], bool]) -> None:
        self._store = store
        self._execute = execute
        self._turn = threading.Lock()
        self._line: deque[JobInHand] = deque()

    def run(self, job: JobInHand) -> bool:
        """Have a job run, here or on the thread that runs one; False if this thread was given up.

        Whoever runs one runs the others too, so that no thread waits for it.
        """
        self._line.append(job)
        while self._line and self._turn.acquire(blocking=False):
            try:
                suspect = self._line.popleft()
                is_here = self._execute(suspect)
                with suppress(*DATABASE_TROUBLE), self._store.deadline(PATIENCE):
                    self._store.upkeep.acquit(suspect.claim.id, suspect.claim.fence)
                refresh_connections()
            except IndexError:  # another was quicker
                continue
            finally:
                self._turn.release()
            if not is_here:
                return False
        return True

    def take_all(self) -> list[JobInHand]:
        """Those that have not begun, which are in this line no more."""
        taken: list[JobInHand] = []
        with suppress(IndexError):
            while True:
                taken.append(self._line.popleft())
        return taken
