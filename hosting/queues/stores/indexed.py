"""Jobs by state, along the indexes that workers use, so that no other job is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from hosting.models import Job, JobState
from hosting.queues.stores.tables import Tables

#: For each state, what its index is of: a condition, and the order of its entries.
INDEXED: Mapping[str, tuple[Q, tuple[str, ...]]] = {
    JobState.WAITING: (Q(), ("backend", "due_at")),
    JobState.BLOCKED: (~Q(limit_key=""), ("limit_key", "state")),
    JobState.HELD: (Q(batch_id__isnull=False), ("batch_id", "state")),
    JobState.READY: (Q(), ("backend", "queue_name", "rank", "due_at", "id")),
    JobState.RUNNING: (Q(), ("claimed_by",)),
}


def in_state(tables: Tables, state: str) -> QuerySet[Job]:
    """The jobs in a state, in the order of its index."""
    condition, order = INDEXED[state]
    return tables.jobs.filter(condition, state=state).order_by(*order)


def ready_in(tables: Tables, backend: str, queue: str) -> QuerySet[Job]:
    """The jobs of a queue that are ready, in the order of claims."""
    return in_state(tables, JobState.READY).filter(backend=backend, queue_name=queue)


def heads(ready: QuerySet[Job], *fields: str) -> Iterator[tuple[Any, ...]]:
    """These fields of the first job of each priority of a queue, which is its oldest."""
    rows = ready.values_list("rank", *fields)
    head = rows.first()
    while head is not None:
        rank, *values = head
        yield tuple(values)
        head = rows.filter(rank__gt=rank).first()
