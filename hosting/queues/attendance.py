"""What running jobs are told, and tell: who was cancelled, how far they are."""

from __future__ import annotations

import time
from collections.abc import Mapping
from uuid import UUID

from hosting.queues.hand import JobInHand
from hosting.queues.stores.base import Store

#: Seconds between two looks at the running jobs.
ATTENDANCE = 1.0


class Attendance:
    """Sees to the jobs in hand of one worker, which is this process in the fleet."""

    def __init__(self, store: Store, process: str, in_hand: Mapping[UUID, JobInHand]) -> None:
        self._store = store
        self._process = process
        self._in_hand = in_hand
        self._next = 0.0

    def attend(self) -> None:
        """Have those end early that were asked to, and store how far they are, if it is time."""
        now = time.monotonic()
        if self._in_hand and now >= self._next:
            self._next = now + ATTENDANCE
            for job_id in self._store.control.asked_to_end(self._process):
                if asked := self._in_hand.get(job_id):
                    asked.cancel()
            self._store_progress()

    def pause(self, now: float) -> float:
        """Seconds until it is time, 0 or less if it is."""
        return self._next - now

    def _store_progress(self) -> None:
        for job in list(self._in_hand.values()):
            if job.progress == job.stored_progress or job.is_over:
                continue
            # Else its transaction could not end for that; then it is told with its end.
            if job.connection is None or self._store.sees_updates(job.connection):
                text = job.stored_progress = job.progress
                self._store.upkeep.note_progress(job.claim.id, job.claim.fence, text)
