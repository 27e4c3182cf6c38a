"""How many jobs there are and how old the oldest is, at a cost that does not grow with the queue.

A COUNT reads every row that it counts, so nothing is counted further than `most`. All answers come
from the indexes that workers use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from django.db.models import QuerySet

from hosting.models import Job, JobState
from hosting.queues.stores.base import Store
from hosting.queues.stores.clock import DatabaseNow
from hosting.queues.stores.indexed import heads, in_state, ready_in
from hosting.queues.stores.tables import Tables

#: How far is counted: in each queue what is ready, and in each other state what there is in all.
MOST = 10_000

#: How many queues are looked at, the first by name.
MOST_QUEUES = 100

#: The states that are counted for all queues together.
OTHERS = (JobState.RUNNING, JobState.WAITING, JobState.BLOCKED, JobState.HELD)


class Census:
    """Counts the jobs of one backend."""

    def __init__(self, store: Store, backend: str) -> None:
        self._tables = Tables(store.alias)
        self._backend = backend
        self._queues = store.queue_names(backend)[:MOST_QUEUES]

    def counts(self, most: int = MOST) -> Mapping[tuple[str, JobState], int]:
        """How many jobs there are by queue and state; no more than `most` are counted.

        Of a state that has more, queues share what was counted.
        """
        found: Counter[tuple[str, JobState]] = Counter()
        for queue in self._queues:
            found[queue, JobState.READY] = self._ready(queue)[:most].count()
        for state in OTHERS:
            jobs = in_state(self._tables, state).filter(backend=self._backend).order_by()
            names = jobs.values_list("queue_name", flat=True)[:most]
            for queue, count in Counter(names).items():
                found[queue, state] = count
        return found

    def oldest_ready(self) -> Mapping[str, float]:
        """For each queue with jobs that are ready, seconds since the oldest of them was due."""
        return {queue: age for queue in self._queues if (age := self._oldest(queue)) is not None}

    def _oldest(self, queue: str) -> float | None:
        ready = self._ready(queue).annotate(now=DatabaseNow())
        ages = [(now - due_at).total_seconds() for due_at, now in heads(ready, "due_at", "now")]
        return max(0.0, *ages) if ages else None

    def _ready(self, queue: str) -> QuerySet[Job]:
        return ready_in(self._tables, self._backend, queue)
