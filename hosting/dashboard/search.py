"""Finds the jobs of the list, newest first, in both tables, by reading a bounded number of rows.

Ids are UUIDs of version 7, so the primary key is the order of enqueueing: the next page begins
behind the last id of this one. What a filter asks for beside that has no index, as every index of
the jobs costs those who run them; so a page looks at `WINDOW` jobs of each table at most, and then
says how far it has come, and offers to go on.

States have indexes. Where a state has few jobs, all of them are looked at, and however old they
are, they are found at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from hosting.compat import TaskResultStatus
from hosting.dashboard.arguments import Teller
from hosting.dashboard.counts import count, failures
from hosting.dashboard.filters import FAILED, SUCCESSFUL, Filter
from hosting.models import Enqueued
from hosting.queues.stores.indexed import in_state
from hosting.queues.stores.tables import Tables

#: How many jobs of each table a page looks at.
WINDOW = 10_000

#: Up to how many jobs in a state are all looked at.
FEW = 2_000

#: How many jobs are read at a time, to see whether a search may tell of them.
BATCH = 1_000

_SHOWN = (
    *("id", "backend", "queue_name", "task_path", "rank", "progress"),
    *("enqueued_at", "started_at", "claimed_at"),
)
_SEARCHED = ("args", "kwargs")
_OF_JOBS = ("state", "due_at", "cancel_requested", "failures")
_OF_RESULTS = ("status", "finished_at")


@dataclass(frozen=True, slots=True)
class Found:
    """One page of jobs; the next one begins before `next`, and has more if `has_more`."""

    rows: Sequence[Enqueued]
    next: UUID | None = None
    has_more: bool = False  # else the search has stopped before its end, if there is a next


@dataclass(frozen=True, slots=True)
class _Part:
    """What was found in one table, where nothing before `floor` was looked at."""

    rows: Sequence[Enqueued]
    floor: UUID | None = None


def find(tables: Tables, wanted: Filter) -> Found:
    """The page of jobs that is wanted."""
    parts = list(_parts(tables, wanted))
    floor = max((part.floor for part in parts if part.floor), default=None)
    rows = sorted((row for part in parts for row in part.rows), key=_id, reverse=True)
    seen = [row for row in rows if floor is None or row.id >= floor]
    page = seen[: wanted.size]
    has_more = len(seen) > len(page)
    return Found(page, page[-1].id if has_more else floor, has_more)


def _parts(tables: Tables, wanted: Filter) -> Iterator[_Part]:
    condition = wanted.condition()
    jobs = _needed(tables.jobs, wanted, _OF_JOBS)
    if not wanted.state:
        yield _newest(jobs, wanted, condition)
        yield _newest(_needed(tables.results, wanted, _OF_RESULTS), wanted, condition)
    elif wanted.state == SUCCESSFUL:
        done = Q(status=TaskResultStatus.SUCCESSFUL)
        results = _needed(tables.results, wanted, _OF_RESULTS)
        yield _newest(results, wanted, done & condition if condition else done)
    elif wanted.state == FAILED:
        yield _newest(_needed(failures(tables), wanted, _OF_RESULTS), wanted, condition)
    else:
        yield _in_state(tables, jobs, wanted, condition)


def _needed(rows: QuerySet[Any], wanted: Filter, of_table: Sequence[str]) -> QuerySet[Any]:
    """These rows with what the list shows; a search asks for their arguments too."""
    return rows.only(*_SHOWN, *of_table, *(_SEARCHED if wanted.text else ()))


def _newest(rows: QuerySet[Any], wanted: Filter, condition: Q | None) -> _Part:
    rows = rows.filter(_between(wanted)).order_by("-id")
    if condition is None:
        return _Part(list(rows[: wanted.size + 1]))
    ids = rows.values_list("id", flat=True)
    floor = next(iter(ids[WINDOW : WINDOW + 1]), None)
    if floor is not None:
        rows = rows.filter(id__gte=floor)
    return _Part(_first(rows.filter(condition), wanted), floor)


def _in_state(tables: Tables, jobs: QuerySet[Any], wanted: Filter, condition: Q | None) -> _Part:
    all_of_them = in_state(tables, wanted.state)
    if count(all_of_them, FEW).is_capped:
        state = Q(state=wanted.state)
        return _newest(jobs, wanted, state & condition if condition else state)
    chosen = all_of_them.filter(_between(wanted), condition or Q())
    ids = sorted(chosen.values_list("id", flat=True)[:FEW], reverse=True)
    if not wanted.text:
        ids = ids[: wanted.size + 1]
    return _Part(_first(jobs.filter(id__in=ids).order_by("-id"), wanted))


def _first(rows: QuerySet[Any], wanted: Filter) -> list[Any]:
    """A page of these rows, and one more if there is one, without those that nobody is told of.

    They are left out before a page is cut: else one that is short, or is not the last, would tell
    that a text is in arguments that are not shown.
    """
    most = many = wanted.size + 1
    if not wanted.text:
        return list(rows[:most])
    found: list[Any] = []
    teller = Teller(wanted.text)
    while len(found) < most and (batch := list(rows[:many])):
        found += filter(teller.may_show, batch)
        if len(batch) < many:
            break
        rows, many = rows.filter(id__lt=batch[-1].id), min(many * 4, BATCH)
    return found[:most]


def _between(wanted: Filter) -> Q:
    bounds = {"id__lt": wanted.before, "id__gte": wanted.since}
    return Q(**{name: bound for name, bound in bounds.items() if bound})


def _id(row: Enqueued) -> UUID:
    return row.id
