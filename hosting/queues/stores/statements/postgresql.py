"""The statements of the store for PostgreSQL, and the texts of arrays that are their parameters.

They are few, and the text of each stays the same, so that the database can keep their plans. The
rows to claim are chosen in a MATERIALIZED subquery, as a plain one may be evaluated again for every
row that is joined, and then claim more than LIMIT (a lesson of Oban). SKIP LOCKED lets workers
claim side by side. Moments are `statement_timestamp()`: `now()` is when the transaction began. They
are read as seconds, which cost a tenth of what a datetime does, and become datetimes for those who
ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from hosting.queues.stores.codec import encode_error
from hosting.queues.stores.listener import CHANNEL
from hosting.queues.stores.statements.shared import (
    COLUMNS,
    HELD_UP,
    JOB,
    KEPT,
    PAUSED,
    PROCESS,
    RESULT,
    appended,
    counted,
)
from hosting.queues.stores.values import Failed, Settlement, Succeeded

NOW = "statement_timestamp()"


def seconds(column: str) -> str:
    """The column's moment as seconds since 1970, exact to the microsecond."""
    return f"date_part('epoch', {column})"  # extract() would compute a numeric first


@cache
def numbered(statement: str) -> bytes:
    """The statement with `$1` and so on instead of Django's marks."""
    parts = statement.split("%s")
    numbers = (f"${number}" for number in range(1, len(parts)))
    marked = "".join(part + mark for part, mark in zip(parts, [*numbers, ""], strict=True))
    return marked.replace("%%", "%").encode()


# Workers that sleep ask to be told; NOTIFY takes a lock of the whole cluster at commit, so nobody
# is told who is awake anyway.
TOLD = f"""
    CASE WHEN EXISTS (SELECT 1 FROM {PROCESS} WHERE is_listening AND alive_until > {NOW})
        THEN pg_notify('{CHANNEL}', %s) END
"""

TELL = f"SELECT {TOLD}"

DEFAULTS = "'[]', '[]', 0, '', '', 0, 0, 0, false"
STATE = f"""
    CASE WHEN given.state <> 'held' AND given.run_after > {NOW} THEN 'waiting' ELSE given.state END
"""

# One job, as quick as can be: a plain statement costs the server half of what one with a subquery
# in front does, and each parameter costs the client as much as ten constants.
_INSERT = f"""
    INSERT INTO {JOB} ({COLUMNS})
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, [times], %s, %s, %s, {DEFAULTS})
    RETURNING {seconds("enqueued_at")}, {TOLD}
"""
INSERT = _INSERT.replace("[times]", f"NULL, {NOW}, {NOW}, NULL, %s")
INSERT_TIMED = _INSERT.replace(
    "[times]",
    f"""
    %s, {NOW}, COALESCE(%s, {NOW}), {NOW} + %s * interval '1 second',
    CASE WHEN %s > {NOW} THEN 'waiting' ELSE %s END
    """,
)

INSERT_MANY = f"""
    WITH given AS (
        SELECT id, args, kwargs, %s::timestamptz AS run_after, %s::text AS state
        FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS new (id, args, kwargs)
    ), added AS (
        INSERT INTO {JOB} ({COLUMNS})
        SELECT id, %s, %s, %s, %s, args, kwargs, %s, %s, given.run_after, {NOW},
            COALESCE(given.run_after, {NOW}), {NOW} + %s * interval '1 second', {STATE}, NULL,
            false, %s, {DEFAULTS}
        FROM given
    )
    SELECT {TOLD}
"""

# Said so that the index of what runs is not used: the planner believes that hardly anything runs,
# and would read all of it, with the entries of all that ran before, to find a few jobs by id.
RUNNING = "job.state || '' = 'running'"

SETTLED = f"""
    given AS MATERIALIZED (
        SELECT * FROM unnest(
            %s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[]
        ) AS given (id, fence, status, return_value, error, progress)
    ), gone AS (
        DELETE FROM {JOB} AS job USING given
        WHERE job.id = given.id AND job.fence = given.fence AND {RUNNING}
        RETURNING job.*, given.status, given.return_value, given.error, given.progress AS told
    ), ended AS (
        INSERT INTO {RESULT} (
            {KEPT}, started_at, worker_ids, errors, progress, status, return_value, finished_at
        )
        SELECT {KEPT}, COALESCE(started_at, claimed_at),
            {counted()},
            CASE WHEN error IS NULL THEN errors ELSE {appended("errors", "error")} END,
            CASE WHEN told = '' THEN progress ELSE told END, status, return_value, {NOW}
        FROM gone RETURNING id
    )
"""

# The constant limit inside is for the planner: of a parameter it expects a tenth of the table, for
# which it would rather sort. Rows are locked one by one, as the outer limit asks for them.
_DUE_IN_ONE = f"""
    due AS MATERIALIZED (
        SELECT place FROM (
            SELECT job.ctid AS place FROM {JOB} AS job
            WHERE job.state = 'ready' AND job.queue_name = %s
                AND (job.rank, job.due_at, job.id) > (%s, to_timestamp(%s), %s)
                AND job.backend = %s
                AND NOT EXISTS (SELECT 1 FROM {PAUSED} WHERE backend = %s AND name = %s)
            ORDER BY job.rank, job.due_at, job.id
            LIMIT [most] FOR UPDATE SKIP LOCKED
        ) AS found
        LIMIT %s
    )
"""
_PLACES = """
    (
        SELECT queue_name, rank, to_timestamp(due) AS due_at, id
        FROM unnest(%s::text[], %s::smallint[], %s::float8[], %s::uuid[])
            AS given (queue_name, rank, due, id)
    ) AS given
"""
_BEHIND = """
    job.state = 'ready' AND job.queue_name = given.queue_name
    AND (job.rank, job.due_at, job.id) > (given.rank, given.due_at, given.id)
    AND job.backend = %s
"""
_DUE_IN_MANY = f"""
    due AS MATERIALIZED (
        SELECT found.place FROM {_PLACES}, LATERAL (
            SELECT job.ctid AS place, job.rank, job.due_at, job.id FROM {JOB} AS job
            WHERE {_BEHIND} AND NOT EXISTS (
                SELECT 1 FROM {PAUSED} WHERE backend = %s AND name = given.queue_name
            )
            ORDER BY job.rank, job.due_at, job.id
            LIMIT [most] FOR UPDATE SKIP LOCKED
        ) AS found
        ORDER BY found.rank, found.due_at, found.id LIMIT %s
    )
"""
# A fence is not only greater than the last one that is known, but the moment in microseconds: a
# replica that takes over, or a server that crashed with synchronous_commit off, may not know of
# the last claims, and must not give their fences to others.
FENCE = f"GREATEST(fence + 1, ({seconds(NOW)} * 1000000)::bigint)"

_CLAIMED = f"""
    claimed AS (
        UPDATE {JOB} AS job SET
            state = 'running', fence = {FENCE}, claimed_by = %s, claimed_at = {NOW},
            unique_key = CASE WHEN unique_until_claimed THEN NULL ELSE unique_key END
        WHERE job.ctid = ANY (ARRAY(SELECT place FROM due))
        RETURNING job.*
    )
"""
CLAIM_COLUMNS = f"""
    id, fence, queue_name, rank, {seconds("due_at")}, task_path, args, kwargs, options, limit_key,
    failures, deaths, COALESCE(expires_at < {NOW}, false), backend, {seconds("run_after")},
    {seconds("enqueued_at")}, {seconds("started_at")}, {seconds("claimed_at")}, errors,
    worker_ids, claimed_by, progress
"""
#: Stands before the ids that were refused, in the words of an error.
REFUSED = "refused by hosting:"

HEAD = f"""
    SELECT (SELECT array_agg(id) FROM given WHERE id NOT IN (SELECT id FROM ended)) AS refused,
        {seconds(NOW)} AS moment
"""
SETTLE = f"WITH {SETTLED} {HEAD}"

# What was refused as a number, which it is not: by the error nothing is committed, and its words,
# in whatever language they are, have the ids.
SETTLE_OR_FAIL = f"""
    WITH {SETTLED} SELECT moment, ('{REFUSED} ' || array_to_string(refused, ','))::integer
    FROM ({HEAD}) AS head
"""
_CLAIM = f"WITH [due], {_CLAIMED} SELECT {CLAIM_COLUMNS} FROM claimed"
# A claim need not outlive a crash of the server: without it the job is ready, and whoever had
# claimed it has a fence that is never given again. Whatever is committed after it and waits for the
# disk has the claim written, too. For the statement's own transaction, if it has one.
_HURRIED = f"""
    WITH [due], {_CLAIMED}, hurried AS MATERIALIZED (
        SELECT set_config('synchronous_commit', 'off', true)
    )
    SELECT {CLAIM_COLUMNS} FROM claimed, hurried
"""
_EXCHANGE = f"""
    WITH {SETTLED}, [due], {_CLAIMED}
    SELECT head.*, given.* FROM ({HEAD}) AS head
    LEFT JOIN (SELECT {CLAIM_COLUMNS} FROM claimed) AS given ON true
"""
_LOOK = f"""
    SELECT
        [ready],
        (SELECT {seconds(f"min(due_at) - {NOW}")} FROM {JOB}
            WHERE state = 'waiting' AND backend = %s [queues]),
        {HELD_UP}
"""
_IS_READY = f"EXISTS (SELECT 1 FROM {JOB} WHERE state = 'ready' AND backend = %s [queues])"
# In an order, so that an index is used whatever was in the table when it was last analyzed: where
# all rows are believed to be ready, the planner would rather read all of the table, and what is
# dead in it.
_IS_READY_BEHIND = f"""
    EXISTS (
        SELECT 1 FROM {_PLACES}, LATERAL (
            SELECT 1 FROM {JOB} AS job WHERE {_BEHIND}
            ORDER BY job.rank, job.due_at, job.id LIMIT 1
        ) AS one
    )
"""

# For what is left of the transaction.
END_WHEN_SILENT = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"

UNLOCKED = "SELECT {column} FROM {table} WHERE {column} = %s FOR UPDATE SKIP LOCKED"

# What runs for none of the processes that live: by the gaps between their names, so that the
# entries of what they have held before are not read; in an order, as above.
LOST = f"""
    WITH alive AS MATERIALIZED (
        SELECT id, lead(id) OVER (ORDER BY id) AS next FROM {PROCESS} WHERE alive_until > {NOW}
    ), running AS NOT MATERIALIZED (
        SELECT claimed_by FROM {JOB} WHERE state = 'running'
    )
    SELECT EXISTS (
        SELECT 1 FROM alive, LATERAL (
            SELECT 1 FROM running WHERE claimed_by > alive.id AND claimed_by < alive.next
            ORDER BY claimed_by LIMIT 1
        ) AS one
    )
    OR (SELECT claimed_by FROM running WHERE claimed_by < (SELECT min(id) FROM alive)
        ORDER BY claimed_by LIMIT 1) IS NOT NULL
    OR (SELECT claimed_by FROM running WHERE claimed_by > (SELECT max(id) FROM alive)
        ORDER BY claimed_by LIMIT 1) IS NOT NULL
    OR (NOT EXISTS (SELECT 1 FROM alive) AND EXISTS (SELECT 1 FROM running))
"""


@cache
def look(*, asks: bool, behind: bool, chooses: bool) -> str:
    """The statement that looks, at some queues or all; it may ask what is ready behind places."""
    ready = _IS_READY_BEHIND if behind else _IS_READY
    condition = "AND queue_name = ANY(%s)" if chooses else ""
    return _LOOK.replace("[ready]", ready if asks else "true").replace("[queues]", condition)


@cache
def claim(queues: int, limit: int, *, settles: bool = False, is_alone: bool = False) -> str:
    """The statement that claims from so many queues, up to the limit, and may settle before.

    If it is alone in its transaction, and does not settle, its commit does not wait for the disk.
    """
    due = _DUE_IN_ONE if queues == 1 else _DUE_IN_MANY
    most = 10 ** len(str(limit - 1))  # one of few that are not less than the limit
    statement = _EXCHANGE if settles else _HURRIED if is_alone else _CLAIM
    return statement.replace("[due]", due.replace("[most]", str(most)))


def settled(settlements: Sequence[Settlement]) -> list[str]:
    """The columns of the settlements, by id: who locks rows in one order cannot deadlock."""
    rows = [
        (
            str(each.id),
            str(each.fence),
            each.status.value,
            quoted(each.result.return_value) if isinstance(each.result, Succeeded) else '""',
            quoted(encode_error(each.result.error)) if isinstance(each.result, Failed) else "NULL",
            quoted(each.progress),
        )
        for each in sorted(settlements, key=lambda each: each.id)
    ]
    return [array(column) for column in zip(*rows, strict=True)]


def array(items: Iterable[str]) -> str:
    """The text of an array, which is made and read much faster than one parameter for each item."""
    return f"{{{','.join(items)}}}"


def quoted(text: str) -> str:
    """The text as an item of an array."""
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
