"""Looks which schedules of one database are due, and enqueues their jobs."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError

from hosting.queues.outage import DATABASE_TROUBLE
from hosting.queues.scheduling.definition import Impossible, ScheduledCall, call_of
from hosting.queues.scheduling.slots import Due, Grid, grid_of, is_set_back, what_is_due
from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import BATCH
from hosting.queues.stores.scheduled import Definition, ScheduleRecord, Synced

logger = logging.getLogger(__name__)

#: Seconds between two looks at most, so that changes by other processes are noticed.
LOOK = 10.0

#: Seconds after a slot within which the looks of all processes are spread.
SPREAD = 0.02

#: Seconds until the next look if another process deals with a schedule at this moment.
TAKEN = 0.1

#: Seconds for which the rows of slots are kept, and between two searches for old ones.
RETENTION, PRUNING = 30 * 86_400.0, 3600.0


class Keeper:
    """Keeps the schedules of one database; for one thread."""

    def __init__(
        self,
        service: str,
        store: Store,
        declared: Sequence[Definition],
        spared: Collection[str] = (),
        elsewhere: Collection[str] = (),
    ) -> None:
        """Keep what is `declared`, and what was made at run time.

        Rows that were declared and have `spared` names stay as they are; those with the names of
        what belongs `elsewhere` are left to whoever keeps them.
        """
        self.store = store
        self.count = 0  # of schedules that are not paused
        self.enqueued = 0  # how many jobs
        self._service = service
        self._schedules = store.schedules
        self._declared = declared
        self._spared = {*spared, *elsewhere}
        self._elsewhere = elsewhere
        self._is_synced = False
        self._calls: dict[Definition, ScheduledCall | None] = {}  # None: it cannot be
        self._failing: set[Definition] = set()
        self._next_pruning = 0.0

    def round(self) -> float:
        """Enqueue what is due; seconds until there may be more. Raises what the database does."""
        if not self._is_synced:
            self._report(self._schedules.sync(self._declared, self._spared))
            self._is_synced = True
        records = [each for each in self._schedules.look() if not self._is_left_alone(each)]
        looked = time.monotonic()
        self.count = len(records)
        self._forget_all_but({record.definition for record in records})
        pause = min([LOOK, *(self._attend(record) for record in records)])
        left = max(0.0, looked + pause - time.monotonic())
        # Just after the slot, as the database's clock may be read more coarsely than it is written,
        # and not in all processes at the same moment.
        return min(LOOK, left + 0.001 + random.uniform(0, SPREAD))

    def _is_left_alone(self, record: ScheduleRecord) -> bool:
        return record.is_declared and record.name in self._elsewhere

    # One schedule

    def _attend(self, record: ScheduleRecord) -> float:
        """Enqueue what is due of a schedule; seconds from the look until there may be more."""
        call = self._call(record)
        if call is None:
            return LOOK
        if _is_set_back(record):
            return self._count_from_now(record)
        grid = grid_of(record.definition, record.since)
        if _due(grid, record) is None:
            return _seconds(record.now, grid.after(record.handled_until))
        try:
            pause = self._enqueue_due(record, grid, call)
        except IntegrityError as error:
            logger.info(
                "Schedule %r: another process has this slot (%s)",
                record.name,
                error,
                extra={"service": self._service, "schedule": record.name},
            )
            return TAKEN
        except DATABASE_TROUBLE:
            raise
        except Exception as error:
            self._note_failure(record, error)
            return LOOK
        self._failing.discard(record.definition)
        return pause

    def _enqueue_due(self, record: ScheduleRecord, grid: Grid, call: ScheduledCall) -> float:
        name = record.name
        with self.store.atomic():
            fresh = self._schedules.claim(name)
            if fresh is None or fresh.definition != record.definition:
                return TAKEN
            due = _due(grid, fresh) if fresh.since == record.since else None
            if due is None:
                return TAKEN
            free = sorted(set(due.slots) - self._schedules.taken(name, due.slots))
            jobs = {slot: UUID(call.enqueue().id) for slot in free}
            self._schedules.note(name, jobs)
            self._schedules.advance(name, due.handled_until)
        self._announce(name, jobs, due)
        self._prune()
        return _seconds(record.now, grid.after(due.handled_until))

    def _count_from_now(self, record: ScheduleRecord) -> float:
        """Go on now, as the clock was set back; else it would wait until it is as late again.

        Slots that have had their job meanwhile have rows, and so get no second one.
        """
        name = record.name
        with self.store.atomic():
            fresh = self._schedules.claim(name)
            if fresh is None or not _is_set_back(fresh):
                return TAKEN
            self._schedules.set_back(name)
        logger.warning(
            "Schedule %r: it was to count from %s, but by the clock of the database it is %s, so "
            "the clock was set back; it counts from now",
            name,
            fresh.counts_from.isoformat(),
            fresh.now.isoformat(),
            extra={"service": self._service, "schedule": name},
        )
        return 0.0

    def _announce(self, name: str, jobs: dict[datetime, UUID], due: Due) -> None:
        self.enqueued += len(jobs)
        if due.skipped_from is not None:
            logger.warning(
                "Schedule %r: what was due from %s on was missed, and is left out up to %s",
                name,
                due.skipped_from.isoformat(),
                due.skipped_to and due.skipped_to.isoformat(),
                extra={"service": self._service, "schedule": name},
            )
        for slot, job_id in jobs.items():
            logger.info(
                "Schedule %r: job %s is enqueued for %s",
                name,
                job_id,
                slot.isoformat(),
                extra={"schedule": name, "job": str(job_id)},
            )

    # Schedules that cannot be, and those that fail

    def _call(self, record: ScheduleRecord) -> ScheduledCall | None:
        """What to enqueue; None, which is logged once, if the schedule cannot be."""
        definition = record.definition
        if definition not in self._calls:
            try:
                self._calls[definition] = call_of(definition, self.store.alias)
            except Impossible as error:
                self._calls[definition] = None
                self._log_error(record.name, str(error))
        return self._calls[definition]

    def _note_failure(self, record: ScheduleRecord, error: Exception) -> None:
        """Log it the first time; it is tried again at each look."""
        if record.definition not in self._failing:
            self._failing.add(record.definition)
            reason = f"its job cannot be enqueued ({type(error).__name__}: {error})"
            self._log_error(record.name, f"{reason}; it goes on trying", error)

    def _log_error(self, name: str, words: str, error: Exception | None = None) -> None:
        logger.error(
            "Schedule %r: %s",
            name,
            words,
            exc_info=error,
            extra={"service": self._service, "schedule": name},
        )

    def _forget_all_but(self, definitions: set[Definition]) -> None:
        self._calls = {key: call for key, call in self._calls.items() if key in definitions}
        self._failing &= definitions

    # Now and then

    def _report(self, synced: Synced) -> None:
        for name in synced.taken_over:
            logger.warning(
                "Schedule %r: the one made at run time is replaced by that of the settings",
                name,
                extra={"service": self._service, "schedule": name},
            )
        changes = {"added": synced.added, "changed": synced.changed, "removed": synced.removed}
        for what, names in changes.items():
            if names:
                logger.info(
                    "Schedules %s: %s", what, ", ".join(names), extra={"service": self._service}
                )

    def _prune(self) -> None:
        if time.monotonic() < self._next_pruning:
            return
        if self._schedules.prune(RETENTION) < BATCH:
            self._next_pruning = time.monotonic() + PRUNING


def _due(grid: Grid, record: ScheduleRecord) -> Due | None:
    return what_is_due(grid, record.definition.missed, record.handled_until, record.now)


def _is_set_back(record: ScheduleRecord) -> bool:
    return is_set_back(record.counts_from, record.now)


def _seconds(now: datetime, slot: datetime) -> float:
    return max(0.0, (slot - now).total_seconds())
