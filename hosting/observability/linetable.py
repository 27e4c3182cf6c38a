"""The table of log lines: adding, and removing what is too much or too old, in small batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from hosting.queues.stores import store_for

#: Lines that one statement removes.
BATCH = 1_000


def within(seconds: float) -> AbstractContextManager[None]:
    """Give the database so many seconds for what is asked of the table in the block."""
    return store_for(_rows().db).deadline(seconds)


def add(lines: Iterable[Mapping[str, Any]]) -> None:
    """Write lines with these values."""
    rows = _rows()
    rows.bulk_create([rows.model(**values) for values in lines])


def leave_last(service: str, count: int) -> None:
    """Of what a service has logged outside of jobs, leave so many lines."""
    rows = _rows().filter(service=service, job_id__isnull=True)
    # All have no `job_id`: it is said for the index, or PostgreSQL may read all lines.
    newest = rows.order_by("-job_id", "-id").values_list("id", flat=True)
    last = list(newest[count : count + 1])
    if last:
        too_many = rows.filter(id__lte=last[0])
        while _remove(too_many.order_by("job_id", "id").values_list("id", flat=True)[:BATCH]):
            pass


def leave_days(days: int) -> None:
    """Remove what is older. Ids grow with time, so the first that is not ends the search."""
    since = timezone.now() - timedelta(days=days)
    while True:
        oldest = _rows().order_by("id").values_list("id", "made_at")[:BATCH]
        old = [key for key, made_at in oldest if made_at < since]
        _remove(old)
        if len(old) < BATCH:
            return


def _remove(ids: Collection[int] | QuerySet[Any, int]) -> bool:
    found = list(ids)
    if found:
        _rows().filter(id__in=found).delete()
    return bool(found)


def _rows() -> QuerySet[Any]:
    """Those of the database that is written to: a replica shows removed rows for a while."""
    from hosting.models import LogLine  # here, as LOGGING is set up before models can be loaded

    return LogLine._default_manager.using(router.db_for_write(LogLine))
