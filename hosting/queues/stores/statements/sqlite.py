"""The statements of the store for SQLite; `[now]` stands for the expression of the moment."""

from __future__ import annotations

from functools import cache
from typing import Any

from hosting.queues.stores.codec import encode_error
from hosting.queues.stores.statements.shared import (
    COLUMNS,
    HELD_UP,
    JOB,
    KEPT,
    RESULT,
    appended,
    counted,
)
from hosting.queues.stores.values import Failed, Settlement, Succeeded

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
GONE = f"DELETE FROM {JOB} WHERE id IN (SELECT value FROM json_each(%s))"


ADD = f"""
    INSERT INTO {JOB} ({COLUMNS})
    VALUES (
        %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, [now], COALESCE(%s, [now]),
        strftime('%%Y-%%m-%%d %%H:%%M:%%f', [now], %s) || '000',
        CASE WHEN %s > [now] THEN 'waiting' ELSE %s END, %s, %s, %s, {DEFAULTS}
    )
    RETURNING enqueued_at || ''
"""
#: One job that is due at once, without a limit of its time.
ADD_DUE = f"""
    INSERT INTO {JOB} ({COLUMNS})
    SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, NULL, now, now, NULL, %s, %s, %s, %s, {DEFAULTS}
    FROM (SELECT [now] AS now)
    RETURNING enqueued_at || ''
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
        %s OR EXISTS (SELECT 1 FROM {JOB} WHERE state = 'ready' AND backend = %s [queues]),
        (SELECT (julianday(min(due_at)) - julianday([now])) * 86400.0 FROM {JOB}
            WHERE state = 'waiting' AND backend = %s [queues]),
        {HELD_UP}
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


@cache
def timed(statement: str, now: str) -> str:
    """The statement with this expression of the moment."""
    return statement.replace("[now]", now)


@cache
def for_driver(statement: str) -> str:
    """The statement with the marks of SQLite's driver instead of Django's."""
    return statement.replace("%s", "?").replace("%%", "%")


def settled(settlement: Settlement) -> tuple[Any, ...]:
    """The settlement as an item of the statements' JSON text."""
    result = settlement.result
    return (
        settlement.id.hex,
        settlement.fence,
        settlement.status.value,
        result.return_value if isinstance(result, Succeeded) else "",
        encode_error(result.error) if isinstance(result, Failed) else None,
        settlement.progress,
    )
