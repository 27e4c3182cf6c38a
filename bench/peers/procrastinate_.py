"""procrastinate: its own command, coroutine tasks, 10 at a time, finished jobs deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import procrastinate
import psycopg

from bench import work
from bench.peers.base import PLACE, Subject, python

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=PLACE.dsn))


@app.task(name=work.NOOP)
async def noop() -> None:
    work.noop()


@app.task(name=work.STAMP)
async def stamp(sent: int) -> None:
    work.stamp(sent)


TASKS: dict[str, Any] = {work.NOOP: noop, work.STAMP: stamp}


class Peer(Subject):
    def install(self) -> None:
        app.open()
        app.schema_manager.apply_schema()
        self._connection = psycopg.connect(PLACE.dsn, autocommit=True)

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        deferrer = app.configure_task(job)
        for first in range(0, len(calls), 1000):
            deferrer.batch_defer(*map(_named, calls[first : first + 1000]))

    def enqueue_one(self, job: str, *args: Any) -> None:
        app.configure_task(job).defer(**_named(args))

    def unsettled(self) -> int:
        query = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        row = self._connection.execute(query).fetchone()
        return row[0] if row else 0

    def command(self) -> Sequence[str]:
        options = ["--concurrency", "10", "--delete-jobs", "successful"]
        program = python("procrastinate", "--app", f"{__name__}.app", "--log-level", "warning")
        return [*program, "worker", *options]


def _named(args: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(["sent"], args, strict=False))
