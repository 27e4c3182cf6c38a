"""Schedules through the ORM, the same way on every database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from hosting.models import Schedule, ScheduleSlot
from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.queues.stores.duties import BATCH
from hosting.queues.stores.scheduled import (
    Definition,
    LastRun,
    ScheduleRecord,
    Schedules,
    Synced,
)
from hosting.queues.stores.tables import Tables
from hosting.queues.wakeup import schedules_of, wake


class TableSchedules(Schedules):
    """Schedules in the tables of one database."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.schedule_rows.annotate(now=DatabaseNow())

    def look(self) -> list[ScheduleRecord]:
        return [record_of(row) for row in self._rows.filter(is_paused=False)]

    def every(self) -> list[tuple[ScheduleRecord, LastRun | None]]:
        rows = with_last_run(self._tables.schedule_rows).order_by("name")
        return [(record_of(row), last_run(row)) for row in rows]

    def get(self, name: str) -> ScheduleRecord | None:
        row = self._rows.filter(name=name).first()
        return record_of(row) if row else None

    def claim(self, name: str) -> ScheduleRecord | None:
        row = self._tables.skipping_locked(self._rows.filter(name=name, is_paused=False)).first()
        return record_of(row) if row else None

    def taken(self, name: str, slots: Collection[datetime]) -> set[datetime]:
        rows = self._tables.slots.filter(schedule=name, slot__in=list(map(stored, slots)))
        return set(map(in_utc, rows.values_list("slot", flat=True)))

    def note(self, name: str, jobs: Mapping[datetime, UUID]) -> None:
        self._add_slots(name, {stored(slot): job_id for slot, job_id in jobs.items()})

    def note_run(self, name: str, job_id: UUID) -> None:
        self._add_slots(name, {DatabaseNow(): job_id})

    def advance(self, name: str, handled_until: datetime) -> None:
        row = self._tables.schedule_rows.filter(name=name)
        row.update(handled_until=stored(handled_until))

    def set_back(self, name: str) -> None:
        row, now = self._tables.schedule_rows.filter(name=name), DatabaseNow()
        row.filter(since__gt=now).update(since=now)
        row.filter(handled_until__gt=now).update(handled_until=now)

    def pause(self, name: str) -> bool:
        row = self._tables.schedule_rows.filter(name=name, is_paused=False)
        return bool(row.update(is_paused=True))

    def resume(self, name: str) -> bool:
        row = self._tables.schedule_rows.filter(name=name, is_paused=True)
        return bool(row.update(is_paused=False, handled_until=DatabaseNow()))

    def prune(self, seconds: float) -> int:
        slots = self._tables.slots
        later = slots.filter(schedule=OuterRef("schedule"), slot__gt=OuterRef("slot"))
        old = slots.filter(Exists(later), enqueued_at__lt=ago(timedelta(seconds=seconds)))
        ids = list(old.order_by("id").values_list("id", flat=True)[:BATCH])
        return slots.filter(id__in=ids).delete()[0] if ids else 0

    def announce(self) -> None:
        alias = self._tables.alias
        transaction.on_commit(partial(wake, schedules_of(alias)), using=alias)

    # Sync

    def sync(self, declared: Sequence[Definition], spared: Collection[str]) -> Synced:
        wanted = {definition.name: definition for definition in declared}
        # Mostly there is nothing to change, which a look without a lock shows.
        first = self._difference(self._tables.schedule_rows, wanted, spared)
        if first == Synced():
            return first
        with self._tables.atomic():
            self._add(declared)
            rows = self._tables.locked(self._tables.schedule_rows.order_by("name"))
            found = self._difference(rows, wanted, spared)
            for name in found.changed:
                self._change(wanted[name])
            self._tables.schedule_rows.filter(name__in=found.removed).delete()
        return replace(found, added=first.added)

    def _difference(
        self, rows: Any, wanted: Mapping[str, Definition], spared: Collection[str]
    ) -> Synced:
        there = {row.name: row for row in rows}
        differing = [
            name
            for name, row in there.items()
            if name in wanted and not (row.is_declared and definition_of(row) == wanted[name])
        ]
        return Synced(
            added=tuple(name for name in wanted if name not in there),
            changed=tuple(differing),
            removed=tuple(
                name
                for name, row in there.items()
                if row.is_declared and name not in wanted and name not in spared
            ),
            taken_over=tuple(name for name in differing if not there[name].is_declared),
        )

    def _add(self, declared: Sequence[Definition]) -> None:
        now = DatabaseNow()
        new = [
            Schedule(**asdict(each), is_declared=True, since=now, handled_until=now)
            for each in declared
        ]
        # Another process may do the same at this moment, and a row that is there stays.
        self._tables.schedule_rows.bulk_create(new, ignore_conflicts=True)

    def _change(self, definition: Definition) -> None:
        values = asdict(definition)
        row = self._tables.schedule_rows.filter(name=values.pop("name"))
        row.update(**values, is_declared=True, since=DatabaseNow(), handled_until=DatabaseNow())

    # Slots

    def _add_slots(self, name: str, jobs: Mapping[Any, UUID]) -> None:
        self._tables.slots.bulk_create(
            ScheduleSlot(schedule=name, slot=slot, job_id=job_id, enqueued_at=DatabaseNow())
            for slot, job_id in jobs.items()
        )


_FIELDS = tuple(field.name for field in fields(Definition))


def definition_of(row: Schedule) -> Definition:
    """What a row says."""
    return Definition(**{name: getattr(row, name) for name in _FIELDS})


def record_of(row: Schedule) -> ScheduleRecord:
    """The record of a row that was read with the database's `now`."""
    return ScheduleRecord(
        definition=definition_of(row),
        is_paused=row.is_paused,
        is_declared=row.is_declared,
        since=in_utc(row.since),
        handled_until=in_utc(row.handled_until),
        now=in_utc(row.now),  # type: ignore[attr-defined]  # an annotation
    )


def with_last_run(rows: QuerySet[Schedule]) -> QuerySet[Schedule]:
    """These rows with what `record_of` and `last_run` need beside them."""
    slots = ScheduleSlot._base_manager.filter(schedule=OuterRef("name")).order_by("-slot")
    return rows.annotate(
        now=DatabaseNow(),
        last_job=Subquery(slots.values("job_id")[:1]),
        last_at=Subquery(slots.values("enqueued_at")[:1]),
    )


def last_run(row: Any) -> LastRun | None:
    """The latest job of a row that was read `with_last_run`."""
    return LastRun(job_id=row.last_job, at=in_utc(row.last_at)) if row.last_job else None


def in_utc(moment: datetime) -> datetime:
    """A moment as the database gives it, in UTC; without USE_TZ it comes in Django's time zone."""
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment, timezone.get_default_timezone())
    return moment.astimezone(UTC)


def stored(moment: datetime) -> datetime:
    """A moment as the database takes it."""
    if settings.USE_TZ:
        return moment
    return timezone.make_naive(moment, timezone.get_default_timezone())
