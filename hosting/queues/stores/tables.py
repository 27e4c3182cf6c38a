"""The tables of one database as querysets, and how their rows are locked."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any, TypeVar
from uuid import UUID

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, QuerySet, Value

from hosting.models import (
    Enqueued,
    HostProcess,
    Job,
    JobResult,
    Limit,
    PausedQueue,
    Reservation,
    Schedule,
    ScheduleSlot,
)
from hosting.queues.stores.rows import to_record
from hosting.queues.stores.values import JobRecord

M = TypeVar("M", bound=models.Model)


class Tables:
    """The tables of the queue in the database of this alias."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @property
    def connection(self) -> BaseDatabaseWrapper:
        """This thread's connection."""
        return connections[self.alias]

    @property
    def jobs(self) -> QuerySet[Job]:
        return Job._base_manager.using(self.alias)

    @property
    def results(self) -> QuerySet[JobResult]:
        return JobResult._base_manager.using(self.alias)

    @property
    def reservations(self) -> QuerySet[Reservation]:
        return Reservation._base_manager.using(self.alias)

    @property
    def limits(self) -> QuerySet[Limit]:
        return Limit._base_manager.using(self.alias)

    @property
    def paused_queues(self) -> QuerySet[PausedQueue]:
        return PausedQueue._base_manager.using(self.alias)

    @property
    def processes(self) -> QuerySet[HostProcess]:
        return HostProcess._base_manager.using(self.alias)

    @property
    def schedule_rows(self) -> QuerySet[Schedule]:
        return Schedule._base_manager.using(self.alias)

    @property
    def slots(self) -> QuerySet[ScheduleSlot]:
        return ScheduleSlot._base_manager.using(self.alias)

    def atomic(self) -> AbstractContextManager[Any]:
        """A transaction for reading and writing, or a part of the caller's."""
        return transaction.atomic(using=self.alias)

    def locked(self, rows: QuerySet[M]) -> QuerySet[M]:
        """These rows, locked where the database has such locks; SQLite has one for everything."""
        features = self.connection.features
        return rows.select_for_update() if features.has_select_for_update else rows

    def skipping_locked(self, rows: QuerySet[M]) -> QuerySet[M]:
        """As `locked`, without those that another transaction holds, as far as can be."""
        if self.connection.features.has_select_for_update_skip_locked:
            return rows.select_for_update(skip_locked=True)
        return self.locked(rows)

    def holds(self, rows: QuerySet[Any]) -> bool:
        """Whether there is such a row, which stays as it is until the transaction ends."""
        return self.locked(rows).values_list("pk").first() is not None

    def get(self, ids: Collection[UUID]) -> dict[UUID, JobRecord]:
        """The jobs with these ids, whether they have ended or not."""
        if not ids:
            return {}
        # One statement sees one state of both tables, between which a job moves.
        wanted = {"id__in": list(ids)}
        jobs = self.jobs.filter(**wanted).annotate(**_NOT_ENDED).values(*_RECORD)
        results = self.results.filter(**wanted).annotate(**_ENDED).values(*_RECORD)
        return {row["id"]: to_record(row) for row in jobs.union(results, all=True)}


_NOT_ENDED = {
    "status": Value(""),
    "return_value": Value(""),
    "finished_at": Value(None, output_field=DateTimeField()),
}
_ENDED = {"state": Value(""), "claimed_by": Value("")}
_RECORD = (
    *(field.attname for field in Enqueued._meta.fields),
    *_NOT_ENDED,
    *_ENDED,
)
