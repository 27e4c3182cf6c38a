"""pgqueuer: what `pgq run` does, on asyncpg and uvloop, in batches of 500."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pgqueuer
import psycopg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench import work
from bench.peers.base import PLACE, Subject, python

BATCH = 500


class Peer(Subject):
    def install(self) -> None:
        self._runner = asyncio.Runner()
        self._queries = self._runner.run(_queries())
        self._runner.run(self._queries.install())
        self._connection = psycopg.connect(PLACE.dsn, autocommit=True)

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        for first in range(0, len(calls), 10_000):
            payloads = [_payload(args) for args in calls[first : first + 10_000]]
            count = len(payloads)
            self._runner.run(self._queries.enqueue([job] * count, payloads, [0] * count))

    def enqueue_one(self, job: str, *args: Any) -> None:
        self._runner.run(self._queries.enqueue(job, _payload(args)))

    def unsettled(self) -> int:
        row = self._connection.execute("SELECT count(*) FROM pgqueuer").fetchone()
        return row[0] if row else 0

    def command(self) -> Sequence[str]:
        return python("bench.peers.pgqueuer_")


def _payload(args: tuple[Any, ...]) -> bytes | None:
    return str(args[0]).encode() if args else None


async def _queries() -> Queries:
    return Queries(AsyncpgDriver(await asyncpg.connect(PLACE.dsn)))


@asynccontextmanager
async def _worker() -> AsyncIterator[PgQueuer]:
    connection = await asyncpg.connect(PLACE.dsn)
    worker = PgQueuer(AsyncpgDriver(connection))

    @worker.entrypoint(work.NOOP)
    async def noop(job: Job) -> None:
        work.noop()

    @worker.entrypoint(work.STAMP)
    async def stamp(job: Job) -> None:
        work.stamp(int(job.payload or b""))

    try:
        yield worker
    finally:
        await connection.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(pgqueuer.run(_worker, batch_size=BATCH))
