"""The store for PostgreSQL: one statement per call.

The rows to claim are chosen in a MATERIALIZED subquery, as a plain one may be evaluated again for
every row that is joined, and then claim more than LIMIT (a lesson of Oban). SKIP LOCKED lets
workers claim side by side. Moments are `statement_timestamp()`: `now()` is when the transaction
began.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from hosting.queues.stores.base import (
    Claim,
    Failed,
    JobRecord,
    NewJob,
    Retry,
    Settlement,
    Succeeded,
)
from hosting.queues.stores.codec import encode_error
from hosting.queues.stores.orm import GenericStore, new_row
from hosting.queues.stores.rows import to_record
from hosting.queues.stores.sql import COLUMNS, TABLE, appended, claimed, ready

NOW = "statement_timestamp()"

ADD = f"""
    INSERT INTO {TABLE} (
        id, backend, queue_name, priority, task_path, args, kwargs, run_after, due_at, enqueued_at,
        return_value, errors, worker_ids, status, claimed_by, fence
    )
    SELECT
        id, backend, queue_name, priority, task_path, args, kwargs, run_after,
        COALESCE(run_after, {NOW}), {NOW}, '', '[]', '[]', 'READY', '', 0
    FROM unnest(
        %s::uuid[], %s::text[], %s::text[], %s::smallint[], %s::text[], %s::text[], %s::text[],
        %s::timestamptz[]
    ) AS new (id, backend, queue_name, priority, task_path, args, kwargs, run_after)
    RETURNING id, enqueued_at, due_at
"""

SETTLE = f"""
    UPDATE {TABLE} AS job SET
        status = settled.status,
        claimed_by = '',
        return_value = settled.return_value,
        errors = CASE WHEN settled.error IS NULL THEN job.errors
            ELSE {appended("job.errors", "settled.error")} END,
        finished_at = CASE WHEN settled.delay IS NULL THEN {NOW} END,
        due_at = COALESCE({NOW} + settled.delay * interval '1 second', job.due_at)
    FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::float8[])
        AS settled (id, fence, status, return_value, error, delay)
    WHERE job.id = settled.id AND job.fence = settled.fence AND job.status = 'RUNNING'
    RETURNING job.id, job.finished_at
"""

RELEASE = f"""
    UPDATE {TABLE} AS job SET status = 'READY', claimed_by = ''
    FROM unnest(%s::uuid[], %s::bigint[]) AS given (id, fence)
    WHERE job.id = given.id AND job.fence = given.fence AND job.status = 'RUNNING'
    RETURNING job.id
"""


class PostgreSQLStore(GenericStore):
    """Keeps jobs in PostgreSQL."""

    def add(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        columns = zip(*map(_new_values, jobs), strict=True)
        moments = {row[0]: row[1:] for row in self._fetch(ADD, columns)}
        return [to_record(new_row(job, *moments[job.id])) for job in jobs]

    def claim(
        self, worker_id: str, backend: str, queues: Collection[str] | None, limit: int
    ) -> list[Claim]:
        condition, chosen = ready(backend, queues)
        assignments, given = claimed(worker_id, NOW)
        statement = f"""
            WITH due AS MATERIALIZED (
                SELECT id AS due_id FROM {TABLE}
                WHERE {condition} AND due_at <= {NOW}
                ORDER BY priority DESC, due_at, id
                LIMIT %s FOR UPDATE SKIP LOCKED
            )
            UPDATE {TABLE} AS job SET {assignments} FROM due WHERE job.id = due_id
            RETURNING {COLUMNS}
        """
        return self._claims(self._jobs.raw(statement, [*chosen, limit, *given]))

    def settle(self, settlements: Collection[Settlement]) -> dict[UUID, datetime | None]:
        columns = zip(*map(_settled_values, _in_order(settlements)), strict=True)
        return dict(self._fetch(SETTLE, columns))

    def release(self, claims: Collection[Claim]) -> set[UUID]:
        columns = zip(*((claim.id, claim.fence) for claim in _in_order(claims)), strict=True)
        return {row[0] for row in self._fetch(RELEASE, columns)}

    def _fetch(self, statement: str, columns: Any) -> list[Any]:
        """Run the statement over columns of values; over none, it has nothing to do."""
        arrays = [list(column) for column in columns]
        if not arrays:
            return []
        with self._connection.cursor() as cursor:
            cursor.execute(statement, arrays)
            return list(cursor.fetchall())


def _in_order(items: Collection[Any]) -> list[Any]:
    """By id: who locks rows in the same order as everybody cannot deadlock with them."""
    return sorted(items, key=lambda item: item.id)


def _new_values(job: NewJob) -> tuple[Any, ...]:
    return (
        job.id,
        job.backend,
        job.queue_name,
        job.priority,
        job.task_path,
        job.args,
        job.kwargs,
        job.run_after,
    )


def _settled_values(settlement: Settlement) -> tuple[Any, ...]:
    return_value, error = "", None
    delay: float | None = None
    match settlement.result:
        case Succeeded(return_value):
            pass
        case Failed(failure):
            error = encode_error(failure)
        case Retry(failure, delay):
            error = encode_error(failure)
    return settlement.id, settlement.fence, settlement.status.value, return_value, error, delay
