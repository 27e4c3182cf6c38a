"""The contract for schedules: what is kept of them, and of the slots for which there was a job.

A slot is a moment at which a schedule is due. The row of a schedule says up to which moment its
slots are dealt with, and each slot for which a job was enqueued has a row of its own, which there
can be only once. Both are written in the transaction that enqueues the job, so a slot has its job,
its row and its mark, or none of the three.

Moments that come and go here are in UTC, whatever the database stores.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hosting.schedules import ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a schedule says: which task is enqueued when, and how. Empty is as it is declared."""

    name: str
    task_path: str
    cron: str = ""
    interval: float | None = None  # seconds
    time_zone: str = ""
    args: str = "[]"
    kwargs: str = "{}"
    queue_name: str = ""
    priority: int | None = None
    missed: str = ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """A schedule's row."""

    definition: Definition
    is_paused: bool
    is_declared: bool
    since: datetime
    handled_until: datetime
    now: datetime  # by the clock of the database, when the row was read

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def counts_from(self) -> datetime:
        """No slot of before is looked at: later than `now` only if the clock was set back."""
        return max(self.since, self.handled_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The latest job of a schedule, and the moment at which it was enqueued."""

    job_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What a sync has changed: names of schedules."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    taken_over: tuple[str, ...] = ()  # made at run time, and replaced by one of this name


class Schedules(ABC):
    """The schedules of one database."""

    @abstractmethod
    def look(self) -> list[ScheduleRecord]:
        """Those that are not paused; one statement that locks nothing."""

    @abstractmethod
    def every(self) -> list[tuple[ScheduleRecord, LastRun | None]]:
        """All of them, by name, and what each has enqueued last."""

    @abstractmethod
    def get(self, name: str) -> ScheduleRecord | None:
        """The one of this name."""

    @abstractmethod
    def claim(self, name: str) -> ScheduleRecord | None:
        """Within a transaction: the row, locked; None if it is paused, gone, or locked already."""

    @abstractmethod
    def taken(self, name: str, slots: Collection[datetime]) -> set[datetime]:
        """Which of these slots have a row."""

    @abstractmethod
    def note(self, name: str, jobs: Mapping[datetime, UUID]) -> None:
        """In a transaction: write rows of slots; raises IntegrityError for one that is there."""

    @abstractmethod
    def note_run(self, name: str, job_id: UUID) -> None:
        """Within a transaction: note a job that was enqueued outside the schedule, now."""

    @abstractmethod
    def advance(self, name: str, handled_until: datetime) -> None:
        """Within a transaction: note that all slots up to this one are dealt with."""

    @abstractmethod
    def set_back(self, name: str) -> None:
        """Within a transaction: have what is to count from a later moment count from now."""

    @abstractmethod
    def sync(self, declared: Sequence[Definition], spared: Collection[str]) -> Synced:
        """Have the rows say what is declared.

        What is new or changed counts from now; what is the same is not touched. Rows that were
        declared once and are no longer are removed, except those with the `spared` names.
        """

    @abstractmethod
    def pause(self, name: str) -> bool:
        """Pause one; False if it is paused or not there."""

    @abstractmethod
    def resume(self, name: str) -> bool:
        """Let one go on from now; False if it is not paused or not there."""

    @abstractmethod
    def prune(self, seconds: float) -> int:
        """Delete a batch of slots older than that, but no schedule's latest; returns how many."""

    @abstractmethod
    def announce(self) -> None:
        """Tell the schedulers of this process of a change, once the transaction has committed."""
