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
from hosting.queues.stores.tables import Tables

#: How far is counted: in each queue what is ready, and in each other state what there is in all.
MOST = 10_000

#: How many queues are looked at, the first by name.
MOST_QUEUES = 100


class Census:
    """Counts the jobs of one backend."""

    def __init__(self, store: Store, backend: str) -> None:
        self._jobs = Tables(store.alias).jobs.filter(backend=backend)
        self._queues = store.queue_names(backend)[:MOST_QUEUES]

    def counts(self, most: int = MOST) -> Mapping[tuple[str, JobState], int]:
        """How many jobs there are by queue and state; no more than `most` are counted.

        Of a state that has more, queues share what was counted.
        """
        found: Counter[tuple[str, JobState]] = Counter()
        for queue in self._queues:
            found[queue, JobState.READY] = self._ready(queue)[:most].count()
        for state, jobs in self._others().items():
            names = jobs.order_by().values_list("queue_name", flat=True)[:most]
            for queue, count in Counter(names).items():
                found[queue, state] = count
        return found

    def oldest_ready(self) -> Mapping[str, float]:
        """For each queue with jobs that are ready, seconds since the oldest of them was due."""
        return {queue: age for queue in self._queues if (age := self._oldest(queue)) is not None}

    def _oldest(self, queue: str) -> float | None:
        """The oldest of the first of each priority: they are in the order of claims."""
        ages: list[float] = []
        ready = self._ready(queue).annotate(now=DatabaseNow()).order_by("rank", "due_at", "id")
        rows = ready.values_list("rank", "due_at", "now")
        row = rows.first()
        while row is not None:
            rank, due_at, now = row
            ages.append((now - due_at).total_seconds())
            row = rows.filter(rank__gt=rank).first()
        return max(0.0, *ages) if ages else None

    def _ready(self, queue: str) -> QuerySet[Job]:
        return self._jobs.filter(state=JobState.READY, queue_name=queue)

    def _others(self) -> Mapping[JobState, QuerySet[Job]]:
        # Said for the indexes: what is blocked has a limit, and what is held a batch.
        return {
            JobState.RUNNING: self._jobs.filter(state=JobState.RUNNING),
            JobState.WAITING: self._jobs.filter(state=JobState.WAITING),
            JobState.BLOCKED: self._jobs.filter(state=JobState.BLOCKED).exclude(limit_key=""),
            JobState.HELD: self._jobs.filter(state=JobState.HELD, batch_id__isnull=False),
        }
