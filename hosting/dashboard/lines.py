"""The log lines that are kept, of a job or of a service."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest

from hosting.models import LogLine

#: Lines that a page shows.
MOST = 200

#: What may be chosen, and the least level that it shows.
LEVELS = {"": logging.NOTSET, "warning": logging.WARNING, "error": logging.ERROR}


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line."""

    row: LogLine

    @property
    def level(self) -> str:
        return logging.getLevelName(self.row.level)

    @property
    def weight(self) -> str:
        """How it is marked: "error", "warning" or ""."""
        level = self.row.level
        return next((name for name, least in reversed(LEVELS.items()) if level >= least), "")


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines in a row, the oldest first."""

    shown: Sequence[ShownLine]
    #: The id before which earlier ones are found; None if there are none.
    before: int | None


def may_view(request: HttpRequest) -> bool:
    """Whether this user may read lines."""
    return request.user.is_active and request.user.has_perm("hosting.view_logline")


def of_job(job_id: UUID) -> Lines:
    """The last lines of a job, of all its attempts."""
    return _last(LogLine._default_manager.filter(job_id=job_id))


def of_service(name: str, level: str, before: int | None) -> Lines:
    """The last lines that a service has logged outside of jobs, in all processes."""
    rows = LogLine._default_manager.filter(service=name, job_id__isnull=True)
    if least := LEVELS.get(level):
        rows = rows.filter(level__gte=least)
    return _last(rows if before is None else rows.filter(id__lt=before))


def newest(rows: QuerySet[LogLine]) -> QuerySet[LogLine]:
    """The lines that a page reads of those of one job, or of one service without a job."""
    # All have one `job_id`, or none: it is said for the index, or PostgreSQL may read all lines.
    return rows.order_by("-job_id", "-id")[: MOST + 1]


def _last(rows: QuerySet[LogLine]) -> Lines:
    found = list(newest(rows))
    shown = [ShownLine(row) for row in reversed(found[:MOST])]
    return Lines(shown, shown[0].row.pk if len(found) > MOST else None)
