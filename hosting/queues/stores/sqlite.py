"""The store for SQLite, for several threads and processes on one file.

Whoever begins by reading and then writes cannot wait for another writer: SQLite fails it at once
with "database is locked", as what it read is out of date. So what writes here takes the write lock
first (BEGIN IMMEDIATE), for which it waits in line, and an empty queue is noticed by a read without
it. Batches travel as one JSON text, which SQLite takes apart much faster than Python binds values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from hosting.models import JobState
from hosting.queues.stores.clock import sqlite_now
from hosting.queues.stores.codec import encode_error
from hosting.queues.stores.deadline import deadline, interrupt
from hosting.queues.stores.keys import write_limits
from hosting.queues.stores.new import initial_state, record_of_new
from hosting.queues.stores.orm import GenericStore
from hosting.queues.stores.rows import to_record
from hosting.queues.stores.sql import (
    CLAIMED_NAMES,
    COLUMNS,
    JOB,
    KEPT,
    QUEUE_NAMES,
    RESULT,
    appended,
    counted,
)
from hosting.queues.stores.values import (
    Claim,
    Exchange,
    Failed,
    JobRecord,
    Look,
    NewJob,
    Retry,
    Settlement,
    Succeeded,
    Wanted,
)
from hosting.queues.stores.watcher import Watcher

DEFAULTS = "'[]', '[]', 0, '', '', 0, 0, 0, 0"
# With something appended, a moment stays the text that it is: reading it is left to those who ask.
CLAIM_COLUMNS = """
    id, fence, queue_name, rank, due_at || '', task_path, args, kwargs, options, limit_key,
    failures, deaths, COALESCE(expires_at < [now], 0), backend, run_after || '',
    enqueued_at || '', started_at || '', claimed_at || '', errors, worker_ids, claimed_by, progress
"""
GIVEN = ", ".join(
    f"json_extract(value, '$[{place}]') AS {name}"
    for place, name in enumerate(("id", "fence", "status", "return_value", "error", "progress"))
)
ENDED = f"""
    INSERT INTO {RESULT} (
        {KEPT}, started_at, worker_ids, errors, progress, status, return_value, finished_at
    )
    SELECT {", ".join(f"job.{name.strip()}" for name in KEPT.split(","))},
        COALESCE(job.started_at, job.claimed_at),
        {counted("job.")},
        CASE WHEN given.error IS NULL THEN job.errors
            ELSE {appended("job.errors", "given.error")} END,
        CASE WHEN given.progress = '' THEN job.progress ELSE given.progress END,
        given.status, given.return_value, %s
    FROM (
        SELECT {GIVEN}
        FROM json_each(%s)
    ) AS given
    CROSS JOIN {JOB} AS job
        ON job.id = given.id AND job.fence = given.fence AND job.state = 'running'
    RETURNING id
"""
HELD = f"""
    SELECT job.id FROM json_each(%s) AS given CROSS JOIN {JOB} AS job
    ON job.id = json_extract(given.value, '$[0]') AND job.fence = json_extract(given.value, '$[1]')
    WHERE job.state = 'running'
"""
GONE = f"DELETE FROM {JOB} WHERE id IN (SELECT value FROM json_each(%s))"


ADD = f"""
    INSERT INTO {JOB} ({COLUMNS})
    VALUES (
        %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, [now], COALESCE(%s, [now]),
        strftime('%%Y-%%m-%%d %%H:%%M:%%f', [now], %s) || '000',
        CASE WHEN %s > [now] THEN 'waiting' ELSE %s END, %s, %s, %s, {DEFAULTS}
    )
"""
ADD_MANY = f"""
    INSERT INTO {JOB} ({COLUMNS})
    SELECT
        json_extract(value, '$[0]'), %s, %s, %s, %s,
        json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        %s, %s, %s, [now], COALESCE(%s, [now]),
        strftime('%%Y-%%m-%%d %%H:%%M:%%f', [now], %s) || '000',
        CASE WHEN %s > [now] THEN 'waiting' ELSE %s END, %s, %s, %s, {DEFAULTS}
    FROM json_each(%s)
"""
LOOK = f"""
    SELECT
        EXISTS (SELECT 1 FROM {JOB} WHERE state = 'ready' AND backend = %s [queues]),
        (SELECT (julianday(min(due_at)) - julianday([now])) * 86400.0 FROM {JOB}
            WHERE state = 'waiting' AND backend = %s [queues]),
        EXISTS (SELECT 1 FROM {JOB}
            WHERE NOT (limit_key = '') AND state = 'blocked' AND backend = %s)
        OR EXISTS (SELECT 1 FROM {JOB}
            WHERE batch_id IS NOT NULL AND state = 'held' AND backend = %s)
"""
#: The first jobs of one queue, in the order of claims.
READY = f"""
    SELECT * FROM (
        SELECT rank, due_at, id FROM {JOB}
        WHERE state = 'ready' AND backend = %s AND queue_name = %s
        ORDER BY rank, due_at, id LIMIT %s
    )
"""
CLAIM = f"""
    UPDATE {JOB} SET
        state = 'running', fence = fence + 1, claimed_by = %s, claimed_at = [now],
        unique_key = CASE WHEN unique_until_claimed THEN NULL ELSE unique_key END
    WHERE id IN (SELECT id FROM ([ready]) ORDER BY rank, due_at, id LIMIT %s)
    RETURNING {CLAIM_COLUMNS}
"""


class SQLiteStore(GenericStore):
    """Keeps jobs in SQLite."""

    tells_of_jobs = False

    def insert(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        if not self._returns_rows:
            return super().insert(jobs)
        if len(jobs) == 1:
            return [self._insert(jobs[0])]
        with self.atomic():
            return [self._insert(job) for job in jobs]

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
        return super().exchange(settlements, wanted)

    def look(self, backend: str, queues: Collection[str] | None) -> Look:
        chosen = [backend] if queues is None else [backend, *queues]
        marks = ", ".join(["%s"] * len(queues or ())) or "NULL"
        condition = "" if queues is None else f"AND queue_name IN ({marks})"
        statement = LOOK.replace("[queues]", condition).replace("[now]", sqlite_now())
        [(is_ready, seconds, is_held_up)] = self._fetch(
            statement, [*chosen, *chosen, backend, backend]
        )
        return Look(bool(is_ready), seconds, bool(is_held_up))

    def queue_names(self, backend: str) -> list[str]:
        return [row[0] for row in self._fetch(QUEUE_NAMES, [backend, backend])]

    def atomic(self) -> AbstractContextManager[Any]:
        return super().atomic() if self.connection.in_atomic_block else self._immediate()

    def lock(self, claims: Collection[Claim]) -> set[UUID]:
        given = json.dumps([(claim.id.hex, claim.fence) for claim in claims])
        return {UUID(hex=row[0]) for row in self._fetch(HELD, [given])}

    def sever(self, connection: Any) -> None:
        interrupt(connection)
        with suppress(Exception):  # it is used right now, or closed
            connection.close()

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        return deadline(self.connection, seconds, interrupt)

    def listening(self, ring: Callable[[], object]) -> AbstractContextManager[bool]:
        return Watcher(self.alias, ring)

    @property
    def _returns_rows(self) -> bool:
        """Whether this SQLite knows RETURNING: from 3.35 on."""
        return bool(self.connection.features.can_return_columns_from_insert)

    def _finds_any(self, wanted: Wanted) -> bool:
        return self._in(JobState.READY, wanted.backend, wanted.queues).exists()

    def _insert(self, job: NewJob) -> JobRecord:
        statement = f"{ADD} RETURNING state, enqueued_at || ''".replace("[now]", sqlite_now())
        [(state, moment)] = self._fetch(statement, self._values(job))
        return record_of_new(job, state, self._moment(moment))

    def _values(self, job: NewJob) -> tuple[Any, ...]:
        run_after = self.connection.ops.adapt_datetimefield_value(job.run_after)
        return (
            job.id.hex,
            job.backend,
            job.queue_name,
            -job.priority,
            job.task_path,
            job.args,
            job.kwargs,
            job.options,
            job.limit.key if job.limit else "",
            run_after,
            run_after,
            None if job.expires_in is None else f"{job.expires_in:+.3f} seconds",
            None if job.is_held else run_after,
            initial_state(job),
            None if job.unique_period is not None else job.unique_key,
            job.unique_until_claimed,
            job.batch_id.hex if job.batch_id else None,
        )

    # Settle and claim

    def _settle(self, settlements: Sequence[Settlement]) -> tuple[set[UUID], datetime | None]:
        if not self._returns_rows or any(isinstance(each.result, Retry) for each in settlements):
            return super()._settle(settlements)
        [(now,)] = self._fetch(f"SELECT {sqlite_now()}", [])
        given = json.dumps([_settled(each) for each in settlements])
        ended = [row[0] for row in self._fetch(ENDED, [now, given])]
        self._fetch(GONE, [json.dumps(ended)])
        if len(ended) == len(settlements):
            return {each.id for each in settlements}, self._moment(now)
        return {UUID(hex=each) for each in ended}, self._moment(now)

    def _claim(self, wanted: Wanted) -> list[Claim]:
        if not self._returns_rows:
            return super()._claim(wanted)
        names = wanted.queues
        if names is None:
            names = self.queue_names(wanted.backend)
        if not names:
            return []
        chosen = [value for name in names for value in (wanted.backend, name, wanted.limit)]
        ready = " UNION ALL ".join([READY] * len(names))
        statement = CLAIM.replace("[ready]", ready).replace("[now]", sqlite_now())
        rows = self._fetch(statement, [wanted.worker_id, *chosen, wanted.limit])
        claims = [self._claim_of(row) for row in rows]
        claims.sort(key=_key)
        return claims

    def _claim_of(self, row: tuple[Any, ...]) -> Claim:
        key = (row[3], row[4], row[0])
        return Claim(
            UUID(hex=row[0]),
            row[1],
            row[2],
            key,
            row[5:12],
            bool(row[12]),
            row,
            self._record,
        )

    def _record(self, row: tuple[Any, ...]) -> JobRecord:
        values = dict(zip(CLAIMED_NAMES, row, strict=True))
        for name in ("run_after", "enqueued_at", "started_at", "claimed_at"):
            values[name] = self._moment(values[name])
        return to_record({**values, "id": UUID(hex=row[0]), "state": "running"})

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())

    def _moment(self, text: str | None) -> Any:
        if text is None:
            return None
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if settings.USE_TZ else moment

    @contextmanager
    def _immediate(self) -> Iterator[None]:
        """A transaction that holds the write lock from its beginning."""
        connection: Any = self.connection
        connection.ensure_connection()  # which sets the mode from the settings
        mode, connection.transaction_mode = connection.transaction_mode, "IMMEDIATE"
        try:
            with transaction.atomic(using=self.alias):
                yield
        finally:
            connection.transaction_mode = mode


def _key(claim: Claim) -> Any:
    return claim.key


def _settled(settlement: Settlement) -> tuple[Any, ...]:
    result = settlement.result
    return (
        settlement.id.hex,
        settlement.fence,
        settlement.status.value,
        result.return_value if isinstance(result, Succeeded) else "",
        encode_error(result.error) if isinstance(result, Failed) else None,
        settlement.progress,
    )
