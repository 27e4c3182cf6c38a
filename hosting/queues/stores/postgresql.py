"""The store for PostgreSQL: one statement per call.

Settling and claiming share a statement, and so a round trip and a commit: finished jobs are deleted
and inserted into the results, and the next ones are claimed. The rows to claim are chosen in a
MATERIALIZED subquery, as a plain one may be evaluated again for every row that is joined, and then
claim more than LIMIT (a lesson of Oban). SKIP LOCKED lets workers claim side by side. Moments are
`statement_timestamp()`: `now()` is when the transaction began. They are read as seconds, which cost
a tenth of what a datetime does, and become datetimes for those who ask.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from hosting.queues.stores.codec import encode_error
from hosting.queues.stores.deadline import connect_within, deadline, shut_socket
from hosting.queues.stores.keys import write_limits
from hosting.queues.stores.listener import CHANNEL, Listener
from hosting.queues.stores.new import initial_state, record_of_new
from hosting.queues.stores.orm import GenericStore
from hosting.queues.stores.rows import to_record
from hosting.queues.stores.sql import (
    CLAIMED_NAMES,
    COLUMNS,
    JOB,
    KEPT,
    PROCESS,
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

NOW = "statement_timestamp()"


def seconds(column: str) -> str:
    """The column's moment as seconds since 1970, exact to the microsecond."""
    return f"extract(epoch FROM {column})::float8"


# Workers that sleep ask to be told; NOTIFY takes a lock of the whole cluster at commit, so nobody
# is told who is awake anyway.
TOLD = f"""
    (SELECT pg_notify('{CHANNEL}', %s) WHERE EXISTS (
        SELECT 1 FROM {PROCESS} WHERE is_listening AND alive_until > {NOW}))
"""

DEFAULTS = "'[]', '[]', 0, '', '', 0, 0, 0, false"
STATE = f"""
    CASE WHEN given.state <> 'held' AND given.run_after > {NOW} THEN 'waiting' ELSE given.state END
"""

# One job, as quick as can be: a plain statement costs the server half of what one with a subquery
# in front does, and each parameter costs the client as much as ten constants.
_INSERT = f"""
    INSERT INTO {JOB} ({COLUMNS})
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, [times], %s, %s, %s, {DEFAULTS})
    RETURNING state, {seconds("enqueued_at")}, {TOLD}
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

SETTLED = f"""
    given AS MATERIALIZED (
        SELECT * FROM unnest(
            %s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[]
        ) AS given (id, fence, status, return_value, error, progress)
    ), gone AS (
        DELETE FROM {JOB} AS job USING given
        WHERE job.id = given.id AND job.fence = given.fence AND job.state = 'running'
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

DUE = """
    due AS MATERIALIZED (
        SELECT found.id AS due_id
        FROM (
            SELECT queue_name, rank, to_timestamp(due) AS due_at, id
            FROM unnest(%s::text[], %s::smallint[], %s::float8[], %s::uuid[])
                AS given (queue_name, rank, due, id)
        ) AS place,
        LATERAL (
            SELECT job.id, job.rank, job.due_at FROM {JOB} AS job
            WHERE job.state = 'ready' AND job.backend = %s AND job.queue_name = place.queue_name
                AND (job.rank, job.due_at, job.id) > (place.rank, place.due_at, place.id)
            ORDER BY job.rank, job.due_at, job.id
            LIMIT %s FOR UPDATE SKIP LOCKED
        ) AS found
        ORDER BY found.rank, found.due_at, found.id LIMIT %s
    )
""".replace("{JOB}", JOB)

CLAIMED = f"""
    claimed AS (
        UPDATE {JOB} AS job SET
            state = 'running', fence = fence + 1, claimed_by = %s, claimed_at = {NOW},
            unique_key = CASE WHEN unique_until_claimed THEN NULL ELSE unique_key END
        FROM due WHERE job.id = due_id
        RETURNING job.*
    )
"""


CLAIM_COLUMNS = f"""
    id, fence, queue_name, rank, {seconds("due_at")}, task_path, args, kwargs, options, limit_key,
    failures, deaths, COALESCE(expires_at < {NOW}, false), backend, {seconds("run_after")},
    {seconds("enqueued_at")}, {seconds("started_at")}, {seconds("claimed_at")}, errors,
    worker_ids, claimed_by, progress
"""
HEAD = f"""
    SELECT (SELECT array_agg(id) FROM given WHERE id NOT IN (SELECT id FROM ended)) AS refused,
        {seconds(NOW)} AS moment
"""
SETTLE = f"WITH {SETTLED} {HEAD}"
CLAIM = f"WITH {DUE}, {CLAIMED} SELECT {CLAIM_COLUMNS} FROM claimed"
EXCHANGE = f"""
    WITH {SETTLED}, {DUE}, {CLAIMED}
    SELECT head.*, given.* FROM ({HEAD}) AS head
    LEFT JOIN (SELECT {CLAIM_COLUMNS} FROM claimed) AS given ON true
"""
LOCK = f"""
    SELECT job.id FROM {JOB} AS job
    JOIN unnest(%s::uuid[], %s::bigint[]) AS given (id, fence) ON job.id = given.id
    WHERE job.fence = given.fence AND job.state = 'running'
    ORDER BY job.id FOR UPDATE OF job
"""
LOOK = f"""
    SELECT
        EXISTS (SELECT 1 FROM {JOB} WHERE state = 'ready' AND backend = %s [queues]),
        (SELECT {seconds(f"min(due_at) - {NOW}")} FROM {JOB}
            WHERE state = 'waiting' AND backend = %s [queues]),
        EXISTS (SELECT 1 FROM {JOB}
            WHERE NOT (limit_key = '') AND state = 'blocked' AND backend = %s)
        OR EXISTS (SELECT 1 FROM {JOB}
            WHERE batch_id IS NOT NULL AND state = 'held' AND backend = %s)
"""
#: What comes before every key.
START = (-32768, float("-inf"), UUID(int=0))


class PostgreSQLStore(GenericStore):
    """Keeps jobs in PostgreSQL."""

    def insert(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        if len(jobs) == 1:
            return [self._insert(jobs[0])]
        with self.atomic():
            return [self._insert(job) for job in jobs]

    def add_many(self, jobs: Sequence[NewJob]) -> None:
        if jobs:
            write_limits(self, jobs[:1])
            first = jobs[0]
            columns = [
                _array(str(job.id) for job in jobs),
                _array(_quoted(job.args) for job in jobs),
                _array(_quoted(job.kwargs) for job in jobs),
            ]
            shared = [first.backend, first.queue_name, -first.priority, first.task_path]
            rest = [first.options, _limit_key(first), first.expires_in, first.batch_id]
            state = [first.run_after, initial_state(first)]
            self._fetch(INSERT_MANY, [*state, *columns, *shared, *rest, first.backend])

    def exchange(self, settlements: Sequence[Settlement], wanted: Wanted | None) -> Exchange:
        if any(isinstance(each.result, Retry) for each in settlements):
            return super().exchange(settlements, wanted)  # several statements, in a transaction
        places = self._places(wanted) if wanted else []
        if not settlements:
            claims = self._fetch(CLAIM, places) if places else []
            return Exchange(claims=self._in_order(claims))
        settled = _settled(settlements)
        rows = (
            self._fetch(EXCHANGE, [*settled, *places]) if places else self._fetch(SETTLE, settled)
        )
        refused, moment = rows[0][:2]
        claims = [row[2:] for row in rows if row[2:3] not in ((), (None,))]
        return Exchange(frozenset(refused or ()), self._moment(moment), self._in_order(claims))

    def look(self, backend: str, queues: Collection[str] | None) -> Look:
        chosen = [backend] if queues is None else [backend, list(queues)]
        condition = "" if queues is None else "AND queue_name = ANY(%s)"
        [row] = self._fetch(
            LOOK.replace("[queues]", condition), [*chosen, *chosen, backend, backend]
        )
        return Look(*row)

    def queue_names(self, backend: str) -> list[str]:
        return [row[0] for row in self._fetch(QUEUE_NAMES, [backend, backend])]

    def lock(self, claims: Collection[Claim]) -> set[UUID]:
        ordered = sorted(claims, key=_id)
        given = [
            _array(str(each.id) for each in ordered),
            _array(str(each.fence) for each in ordered),
        ]
        return {row[0] for row in self._fetch(LOCK, given)}

    def sever(self, connection: Any) -> None:
        shut_socket(connection)

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        connection = self.connection
        with deadline(connection, seconds, shut_socket):
            connect_within(connection, seconds)
            yield

    def listening(self, ring: Callable[[], object]) -> AbstractContextManager[bool]:
        return Listener(self.alias, ring)

    def note_listening(self, process: str, is_listening: bool) -> None:
        self.processes.filter(id=process).update(is_listening=is_listening)

    def _claim(self, wanted: Wanted) -> list[Claim]:
        places = self._places(wanted)
        return self._in_order(self._fetch(CLAIM, places)) if places else []

    def _insert(self, job: NewJob) -> JobRecord:
        state = initial_state(job)
        first = [
            job.id,
            job.backend,
            job.queue_name,
            -job.priority,
            job.task_path,
            job.args,
            job.kwargs,
            job.options,
            _limit_key(job),
        ]
        unique_key = None if job.unique_period is not None else job.unique_key
        rest = [unique_key, job.unique_until_claimed, job.batch_id, job.backend]
        if job.run_after is None and job.expires_in is None:
            rows = self._fetch(INSERT, [*first, state, *rest])
        else:
            waits_until = None if job.is_held else job.run_after
            times = [job.run_after, job.run_after, job.expires_in, waits_until, state]
            rows = self._fetch(INSERT_TIMED, [*first, *times, *rest])
        [(state, moment, _)] = rows
        return record_of_new(job, state, self._moment(moment))

    def _places(self, wanted: Wanted) -> list[Any]:
        """The parameters of a claim; none if there is no queue to look at."""
        names = wanted.queues
        if names is None:
            names = self.queue_names(wanted.backend)
        places = [(name, *wanted.after.get(name, START)) for name in names]
        if not places:
            return []
        limits = [wanted.backend, wanted.limit, wanted.limit]
        return [*(list(column) for column in zip(*places, strict=True)), *limits, wanted.worker_id]

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return list(cursor.fetchall())

    def _in_order(self, rows: Iterable[tuple[Any, ...]]) -> list[Claim]:
        claims = [self._claim_of(row) for row in rows]
        claims.sort(key=_key)
        return claims

    def _claim_of(self, row: tuple[Any, ...]) -> Claim:
        key = (row[3], row[4], row[0])
        return Claim(row[0], row[1], row[2], key, row[5:12], bool(row[12]), row, self._record)

    def _record(self, row: tuple[Any, ...]) -> JobRecord:
        values = dict(zip(CLAIMED_NAMES, row, strict=True))
        for name in ("run_after", "enqueued_at", "started_at", "claimed_at"):
            values[name] = self._moment(values[name])
        return to_record({**values, "state": "running"})

    def _moment(self, since_1970: float | None) -> Any:
        if since_1970 is None:
            return None
        if settings.USE_TZ:
            return datetime.fromtimestamp(since_1970, UTC)
        return datetime.fromtimestamp(since_1970, self.connection.timezone).replace(tzinfo=None)


def _key(claim: Claim) -> Any:
    return claim.key


def _limit_key(job: NewJob) -> str:
    return job.limit.key if job.limit else ""


def _settled(settlements: Sequence[Settlement]) -> list[str]:
    """The columns of the settlements, by id: who locks rows in one order cannot deadlock."""
    rows = [
        (
            str(each.id),
            str(each.fence),
            each.status.value,
            _quoted(each.result.return_value) if isinstance(each.result, Succeeded) else '""',
            _quoted(encode_error(each.result.error)) if isinstance(each.result, Failed) else "NULL",
            _quoted(each.progress),
        )
        for each in sorted(settlements, key=_id)
    ]
    return [_array(column) for column in zip(*rows, strict=True)]


def _id(item: Claim | Settlement) -> UUID:
    return item.id


def _array(items: Iterable[str]) -> str:
    """The text of an array, which is made and read much faster than one parameter for each item."""
    return f"{{{','.join(items)}}}"


def _quoted(text: str) -> str:
    """The text as an item of an array."""
    if '"' in text or "\\" in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
