"""All schedules, with their next and their last run: for commands and pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from hosting.conf import load_settings
from hosting.queues.scheduling import words
from hosting.queues.scheduling.declared import (
    DeclaredSchedules,
    declared_schedules,
    stores,
    times_of,
)
from hosting.queues.scheduling.definition import complaints
from hosting.queues.scheduling.slots import grid_of, what_is_due
from hosting.queues.stores.scheduled import LastRun, ScheduleRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSchedule:
    """One schedule at one moment."""

    name: str
    task: str
    when: str  # in words
    database: str  # "": nobody knows, as it cannot be
    is_paused: bool = False
    is_declared: bool = True
    now: datetime | None = None  # by the database's clock; None: no scheduler knows of it yet
    next_run: datetime | None = None
    last_run: datetime | None = None
    last_job: str | None = None
    problem: str | None = None  # why it cannot be

    def next_in_words(self) -> str:
        """When it runs next, or why it does not."""
        if self.problem:
            return f"never: {self.problem}"
        if self.now is None:
            return "when a scheduler has started"
        return words.moment(self.next_run, self.now) if self.next_run else "never: it is paused"

    def last_in_words(self) -> str:
        """When it ran last."""
        return words.moment(self.last_run, self.now) if self.last_run and self.now else "never"


def list_schedules() -> list[ListedSchedule]:
    """The schedules of all databases, by name.

    Those of the settings that no scheduler has seen yet are among them, and those that cannot be.
    Raises `ConfigurationError` for wrong settings, and what the databases raise.
    """
    declared = declared_schedules(load_settings().schedule.values())
    found = [
        listed(record, last, store.alias)
        for store in stores()
        for record, last in store.schedules.every()
        if not (record.is_declared and record.name in declared.elsewhere(store.alias))
    ]
    found += [*_unseen(declared, found), *_refused(declared, found)]
    return sorted(found, key=lambda each: (each.name, each.database))


def listed(record: ScheduleRecord, last: LastRun | None, database: str) -> ListedSchedule:
    """One schedule of this database."""
    definition = record.definition
    problem = "; ".join(found.words for found in complaints(definition, database)) or None
    return ListedSchedule(
        name=definition.name,
        task=definition.task_path,
        when=words.when(definition),
        database=database,
        is_paused=record.is_paused,
        is_declared=record.is_declared,
        now=record.now,
        next_run=None if problem or record.is_paused else next_run(record),
        last_run=last.at if last else None,
        last_job=str(last.job_id) if last else None,
        problem=problem,
    )


def next_run(record: ScheduleRecord) -> datetime:
    """The next slot that gets a job, of a schedule that can be; it may be overdue."""
    grid = grid_of(record.definition, record.since)
    due = what_is_due(grid, record.definition.missed, record.handled_until, record.now)
    if due is None:
        return grid.after(record.handled_until)
    return due.slots[0] if due.slots else grid.after(due.handled_until)


def _unseen(
    declared: DeclaredSchedules, seen: Iterable[ListedSchedule]
) -> Iterator[ListedSchedule]:
    known = {(each.database, each.name) for each in seen}
    for database, definitions in declared.by_database.items():
        for each in definitions:
            if (database, each.name) not in known:
                task, when = each.task_path, words.when(each)
                yield ListedSchedule(name=each.name, task=task, when=when, database=database)


def _refused(
    declared: DeclaredSchedules, seen: Iterable[ListedSchedule]
) -> Iterator[ListedSchedule]:
    """Those of which there is no row either, which would go on as it is, in whichever database."""
    known = {each.name for each in seen}
    for entry, problems in ((each.entry, each.problems) for each in declared.refused):
        if entry.name not in known:
            yield ListedSchedule(
                name=entry.name,
                task=entry.task,
                when=words.when(times_of(entry)),
                database="",
                problem="; ".join(problem.matter for problem in problems),
            )
