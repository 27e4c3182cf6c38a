"""Reads jobs for people, the same way on every database, and never all that there are.

The newest jobs are found along the primary key, from its end back over at most `WINDOW` rows; what
is next along the index of what may be claimed; what runs along that of what the workers hold. A
condition that fits nothing costs no more than that, and the answer says where the search ended.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from hosting.models import JobState
from hosting.queues.stores.tables import Tables
from hosting.queues.stores.values import JobRecord

#: How many rows of a table one search looks at.
WINDOW = 10_000

#: The states of jobs that have not ended, and of those that have.
LIVE = tuple(state.value for state in JobState)
ENDED = ("successful", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which jobs to list; None: any."""

    backend: str
    state: str | None = None  # of LIVE or ENDED
    queue: str | None = None
    task: str | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """One line of a list."""

    id: UUID
    state: str
    queue_name: str
    rank: int
    task_path: str
    enqueued_at: datetime
    due_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The jobs that a search has found; there may be older ones if it `was_cut_short`."""

    jobs: list[ListedJob]
    was_cut_short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetails:
    """What is stored of one job; the rest is None for one that has ended."""

    record: JobRecord
    state: str
    failures: int | None = None
    due_at: datetime | None = None
    expires_at: datetime | None = None
    claimed_by: str | None = None
    is_cancelled: bool | None = None  # somebody has asked it to end
    batch_id: UUID | None = None


def browse(tables: Tables, search: Search) -> Found:
    """The newest jobs that a search is for."""
    sources: list[tuple[QuerySet[Any], str]] = []
    if search.state is None or search.state in LIVE:
        sources.append((tables.jobs, "state"))
    if search.state is None or search.state in ENDED:
        sources.append((tables.results, "status"))
    found = [_newest(rows, column, search) for rows, column in sources]
    jobs = sorted((job for each in found for job in each.jobs), key=lambda job: job.id)
    return Found(jobs[::-1][: search.limit], any(each.was_cut_short for each in found))


def next_jobs(tables: Tables, search: Search, queues: Collection[str]) -> Found:
    """The jobs of these queues that are ready, in the order in which workers claim them."""
    looked_at = search.limit if search.task is None else WINDOW
    jobs: list[ListedJob] = []
    is_more = False
    for name in queues:
        ready = tables.jobs.filter(state=JobState.READY, backend=search.backend, queue_name=name)
        first = _listed(ready.order_by("rank", "due_at", "id")[:looked_at], "state", ("due_at",))
        is_more |= len(first) == WINDOW
        jobs += first
    jobs.sort(key=lambda job: (job.rank, job.due_at, job.id))
    fitting = [job for job in jobs if search.task in (None, job.task_path)]
    return Found(fitting[: search.limit], is_more and len(fitting) < search.limit)


def details(tables: Tables, job_id: UUID) -> JobDetails | None:
    """Everything about one job, or None if there is no such job."""
    record = tables.get([job_id]).get(job_id)
    if record is None:
        return None
    row = tables.jobs.filter(id=job_id).first()
    if row is None:
        return JobDetails(record=record, state=record.status.value.lower())
    return JobDetails(
        record=record,
        state=row.state,
        failures=row.failures,
        due_at=row.due_at,
        expires_at=row.expires_at,
        claimed_by=row.claimed_by,
        is_cancelled=row.cancel_requested,
        batch_id=row.batch_id,
    )


def _newest(rows: QuerySet[Any], column: str, search: Search) -> Found:
    state = search.state
    chosen = _chosen(rows, search)
    if state is not None:
        chosen = chosen.filter(**{column: state if column == "state" else state.upper()})
    oldest = None if state == JobState.RUNNING else _oldest_of_window(rows)
    if oldest is not None:
        chosen = chosen.filter(id__gte=oldest)
    more = ("due_at",) if column == "state" else ("finished_at",)
    found = _listed(chosen.order_by("-id")[: search.limit], column, more)
    return Found(found, oldest is not None and len(found) < search.limit)


def _oldest_of_window(rows: QuerySet[Any]) -> UUID | None:
    """The id from which on there are `WINDOW` rows; None if there are no more than that."""
    ids = rows.order_by("-id").values_list("id", flat=True)[WINDOW - 1 : WINDOW + 1]
    return ids[0] if len(ids) == 2 else None


def _chosen(rows: QuerySet[Any], search: Search) -> QuerySet[Any]:
    chosen = rows.filter(backend=search.backend)
    if search.queue is not None:
        chosen = chosen.filter(queue_name=search.queue)
    return chosen if search.task is None else chosen.filter(task_path=search.task)


def _listed(rows: QuerySet[Any], column: str, more: tuple[str, ...]) -> list[ListedJob]:
    names = ("id", "queue_name", "rank", "task_path", "enqueued_at", *more)
    found = [(row.pop(column), row) for row in rows.values(*names, column)]
    return [ListedJob(state=str(state).lower(), **row) for state, row in found]
