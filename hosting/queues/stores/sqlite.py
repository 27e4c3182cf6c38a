"""The store for SQLite, for several threads and processes on one file.

Whoever begins by reading and then writes cannot wait for another writer: SQLite fails it at once
with "database is locked", as what it read is out of date. So what writes here takes the write lock
first (BEGIN IMMEDIATE), for which it waits in line, and an empty queue is noticed by a read without
it. Batches travel as one JSON text, which SQLite takes apart much faster than Python binds values.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from hosting.cancellation import CancellationToken
from hosting.models import JobState
from hosting.queues.stores.clock import sqlite_now
from hosting.queues.stores.deadline import deadline, interrupt
from hosting.queues.stores.inbox import Inbox
from hosting.queues.stores.keys import write_limits
from hosting.queues.stores.new import first_values, initial_state, row_key
from hosting.queues.stores.orm import GenericStore
from hosting.queues.stores.sqlstore import SQLStore, is_watched
from hosting.queues.stores.statements.sqlite import (
    ADD,
    ADD_DUE,
    ADD_MANY,
    CLAIM,
    ENDED,
    GONE,
    LOOK,
    READY,
    for_driver,
    settled,
    timed,
)
from hosting.queues.stores.turns import turn
from hosting.queues.stores.values import (
    Claim,
    Exchange,
    JobRecord,
    Key,
    Look,
    NewJob,
    Retry,
    Settlement,
    Wanted,
)
from hosting.queues.stores.watcher import Watcher


class SQLiteStore(SQLStore):
    """Keeps jobs in SQLite."""

    tells_of_jobs = False
    has_one_writer = True

    def insert(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        return super().insert(jobs) if self._returns_rows else GenericStore.insert(self, jobs)

    def add_many(self, jobs: Sequence[NewJob]) -> None:
        if jobs:
            write_limits(self, jobs[:1])
            first = self._values(jobs[0])
            given = json.dumps([(job.id.hex, job.args, job.kwargs) for job in jobs])
            shared = [*first[1:5], *first[7:]]
            with self.atomic():
                self._fetch(ADD_MANY.replace("[now]", sqlite_now()), [*shared, given])

    def exchange(self, settlements: Sequence[Settlement], wanted: Wanted | None) -> Exchange:
        if not settlements and not (wanted and self._finds_any(wanted)):
            return Exchange()
        if not self._returns_rows or any(isinstance(each.result, Retry) for each in settlements):
            return super().exchange(settlements, wanted)
        # What Python does with the rows is left out of the time in which nobody else can write.
        given = json.dumps([settled(each) for each in settlements])
        now: str | None = None
        ended: list[str] = []
        rows: list[Any] = []
        with self.atomic():
            if settlements:
                [(now,)] = self._fetch(f"SELECT {sqlite_now()}", [])
                ended = [row[0] for row in self._fetch(ENDED, [now, given])]
                self._fetch(GONE, [json.dumps(ended)])
            if wanted:
                rows = self._claimed(wanted)
        refused: frozenset[UUID] = frozenset()
        if len(ended) < len(settlements):
            refused = frozenset(each.id for each in settlements) - {UUID(hex=id_) for id_ in ended}
        return Exchange(refused, self._moment(now), self._in_order(rows))

    def look(
        self, backend: str, queues: Collection[str] | None, after: Mapping[str, Key] | None
    ) -> Look:
        chosen = [backend] if queues is None else [backend, *queues]
        marks = ", ".join(["%s"] * len(queues or ())) or "NULL"
        condition = "" if queues is None else f"AND queue_name IN ({marks})"
        statement = LOOK.replace("[queues]", condition).replace("[now]", sqlite_now())
        [(is_ready, seconds, is_held_up)] = self._fetch(
            statement, [after is None, *chosen, *chosen, backend, backend]
        )
        return Look(bool(is_ready), seconds, bool(is_held_up))

    def atomic(self) -> AbstractContextManager[Any]:
        return super().atomic() if self.connection.in_atomic_block else self._immediate()

    def sever(self, connection: Any) -> None:
        interrupt(connection)
        with suppress(Exception):  # it is used right now, or closed
            connection.close()

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        return deadline(self.connection, seconds, interrupt)

    def hung_up_at(self, end: CancellationToken, seconds: float) -> AbstractContextManager[object]:
        connection = self.connection
        return end.register(lambda: interrupt(connection.connection))

    def listening(
        self, ring: Callable[[], bool], inbox: Inbox | None = None
    ) -> AbstractContextManager[bool]:
        return Watcher(self.alias, ring)

    def _execute(self, connection: Any, statement: str, parameters: Sequence[Any]) -> list[Any]:
        cursor = connection.connection.execute(for_driver(statement), parameters)
        return list(cursor.fetchall())

    def _perform(self, connection: Any, statement: str) -> None:
        connection.connection.execute(statement)

    def leave_savepoint(self, name: str) -> None:
        connection: Any = self.connection
        if connection.in_atomic_block and not is_watched(connection):
            # For each that is open SQLite keeps a copy of every page that is written.
            self._perform(connection, f"RELEASE {name}")

    @property
    def _returns_rows(self) -> bool:
        """Whether this SQLite knows RETURNING: from 3.35 on."""
        return sqlite3.sqlite_version_info >= (3, 35)

    def _finds_any(self, wanted: Wanted) -> bool:
        return self._in(JobState.READY, wanted.backend, wanted.queues).exists()

    def add_one(self, job: NewJob, meanwhile: Callable[[], object]) -> datetime:
        if self._returns_rows:
            return super().add_one(job, meanwhile)
        return GenericStore.add_one(self, job, meanwhile)

    def _insert_row(self, job: NewJob, meanwhile: Callable[[], object]) -> datetime:
        meanwhile()
        values = self._values(job)
        if job.run_after is None and job.expires_in is None:
            statement, values = ADD_DUE, (*values[:9], *values[13:])
        else:
            statement = ADD
        [(moment,)] = self._fetch(timed(statement, sqlite_now()), values)
        written_at: datetime = self._moment(moment)
        return written_at

    def _values(self, job: NewJob) -> tuple[Any, ...]:
        run_after: Any = job.run_after
        if run_after is not None:
            run_after = self.connection.ops.adapt_datetimefield_value(run_after)
        return (
            *first_values(job),
            run_after,
            run_after,
            None if job.expires_in is None else f"{job.expires_in:+.3f} seconds",
            None if job.is_held else run_after,
            initial_state(job),
            row_key(job),
            job.unique_until_claimed,
            job.batch_id.hex if job.batch_id else None,
        )

    # Settle and claim

    def _claim(self, wanted: Wanted) -> list[Claim]:
        return (
            self._in_order(self._claimed(wanted)) if self._returns_rows else super()._claim(wanted)
        )

    def _claimed(self, wanted: Wanted) -> list[Any]:
        """Claim jobs; their rows."""
        if not (names := self._names(wanted)):
            return []
        chosen = [value for name in names for value in (wanted.backend, name, wanted.limit)]
        ready = " UNION ALL ".join([READY] * len(names))
        statement = CLAIM.replace("[ready]", ready).replace("[now]", sqlite_now())
        return self._fetch(statement, [wanted.worker_id, *chosen, wanted.limit])

    def _id(self, value: str) -> UUID:
        return UUID(hex=value)

    def _seconds_between(self, earlier: str, later: str) -> float:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()

    def _moment(self, value: str | None) -> Any:
        if value is None:
            return None
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if settings.USE_TZ else moment

    @contextmanager
    def _immediate(self) -> Iterator[None]:
        """A transaction that holds the write lock from its beginning."""
        connection: Any = self.connection
        connection.ensure_connection()  # which sets the mode from the settings
        mode, connection.transaction_mode = connection.transaction_mode, "IMMEDIATE"
        try:
            with turn(self.alias), transaction.atomic(using=self.alias):
                yield
        finally:
            connection.transaction_mode = mode
