"""The floors on PostgreSQL: psycopg alone, without what makes a queue.

The drain: one process that claims 500 jobs in one transaction and deletes them in the next. The
latency: INSERT and NOTIFY in one statement, and a process that listens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from bench import work
from bench.peers.base import PLACE, Subject, python

BATCH = 500

_TABLE = """
CREATE TABLE floor_job (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    priority smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz,
    task_path text NOT NULL,
    args text NOT NULL
);
CREATE INDEX ON floor_job (priority DESC, due_at, id) WHERE claimed_at IS NULL;
"""
_ADD = "INSERT INTO floor_job (task_path, args) VALUES (%s, %s)"
_ADD_MANY = "INSERT INTO floor_job (task_path, args) SELECT %s, unnest(%s::text[])"
_ADD_AND_NOTIFY = f"WITH job AS ({_ADD} RETURNING args) SELECT pg_notify('floor', args) FROM job"
_CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM floor_job WHERE claimed_at IS NULL AND due_at <= now()
    ORDER BY priority DESC, due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE floor_job SET claimed_at = now() FROM due WHERE floor_job.id = due.id
RETURNING floor_job.id, task_path, args
"""
_DELETE = "DELETE FROM floor_job WHERE id = ANY(%s)"


class Peer(Subject):
    def __init__(self) -> None:
        self._connection = psycopg.connect(PLACE.dsn, autocommit=True)

    def install(self) -> None:
        self._connection.execute(_TABLE)

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        self._connection.execute(_ADD_MANY, [job, ["".join(map(str, args)) for args in calls]])

    def enqueue_one(self, job: str, *args: Any) -> None:
        self._connection.execute(_ADD_AND_NOTIFY, [job, "".join(map(str, args))])

    def unsettled(self) -> int:
        row = self._connection.execute("SELECT count(*) FROM floor_job").fetchone()
        return row[0] if row else 0

    def command(self) -> Sequence[str]:
        return python("bench.peers.floor")


def main() -> None:
    """The worker: drain what is there, then listen."""
    with psycopg.connect(PLACE.dsn, autocommit=True) as connection:
        connection.execute("LISTEN floor")
        stamped: set[str] = set()
        while claimed := connection.execute(_CLAIM, [BATCH]).fetchall():
            work.tally.count(len(claimed))
            connection.execute(_DELETE, [[job_id for job_id, path, args in claimed]])
            for _, path, args in claimed:
                if path == work.STAMP:  # enqueued before this process listened
                    work.stamp(int(args))
                    stamped.add(args)
        for notification in connection.notifies():
            if notification.payload not in stamped:
                work.stamp(int(notification.payload))


if __name__ == "__main__":
    main()
