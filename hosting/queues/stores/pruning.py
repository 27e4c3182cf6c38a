"""Deletes what is older than it has to be kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from django.db.models import QuerySet
from django.utils.timezone import make_aware

from hosting.compat import TaskResultStatus
from hosting.ids import uuid7_at
from hosting.models import JobResult
from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.queues.stores.duties import BATCH
from hosting.queues.stores.tables import Tables


def prune(tables: Tables, backend: str, retention: Mapping[TaskResultStatus, float | None]) -> int:
    """Delete old results by status, and keys that are free again; how many the largest batch had.

    Results are found by their ids, which hold when they were made: along the primary key from its
    oldest end, and no further than to what was made since the time for which results are kept. One
    that was made by a clock that is ahead is kept so much longer.
    """
    oldest = _oldest(tables)
    deleted = [
        _delete(tables, backend, status, seconds, uuid7_at(oldest.now - seconds))
        for status, seconds in retention.items()
        if oldest is not None and seconds is not None and oldest.id < uuid7_at(oldest.now - seconds)
    ]
    expired = tables.reservations.filter(until__lt=DatabaseNow())
    keys = list(expired.values_list("key", flat=True)[:BATCH])
    expired.filter(key__in=keys).delete()
    return max(deleted, default=0)


class _Oldest(NamedTuple):
    """The oldest result, and what time it is by the database, in seconds since 1970."""

    id: UUID
    now: float


def _oldest(tables: Tables) -> _Oldest | None:
    rows = tables.results.order_by("id").annotate(now=DatabaseNow()).values_list("id", "now")
    if (row := rows.first()) is None:
        return None
    job_id, now = row
    if now.tzinfo is None:
        now = make_aware(now, tables.connection.timezone)
    return _Oldest(job_id, now.timestamp())


def _delete(
    tables: Tables, backend: str, status: TaskResultStatus, seconds: float, made_before: UUID
) -> int:
    old = _old(tables, backend, status, seconds, made_before).order_by("id")
    ids = list(old.values_list("id", flat=True)[:BATCH])
    results = tables.results.filter(backend=backend)
    return results.filter(id__in=ids).delete()[0] if ids else 0


def _old(
    tables: Tables, backend: str, status: TaskResultStatus, seconds: float, made_before: UUID
) -> QuerySet[JobResult]:
    aged = tables.results.filter(backend=backend, id__lt=made_before)
    return aged.filter(status=status, finished_at__lt=ago(timedelta(seconds=seconds)))


def count_old(tables: Tables, backend: str, status: TaskResultStatus, seconds: float) -> int:
    """How many results `prune` would delete; reads as far as that, in one statement."""
    oldest = _oldest(tables)
    if oldest is None or oldest.id >= (made_before := uuid7_at(oldest.now - seconds)):
        return 0
    return _old(tables, backend, status, seconds, made_before).count()
