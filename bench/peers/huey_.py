"""huey on SQLite: `huey_consumer` with one thread.

As it comes, every commit of its queue waits for the disk (SQLite's default, synchronous=FULL), and
a result that is None, as here, is not stored. The fast one waits for no disk.

What remains is read from its table; a job leaves it when it is taken, so that the last job's end
is not waited for, in huey's favour.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from huey import SqliteHuey

from bench import work
from bench.peers.base import PLACE, Subject, python, set_up_django
from bench.place import FAST

set_up_django()

from bench.project import models  # noqa: E402 - after Django is set up

_FAST: dict[str, Any] = {"results": False, "fsync": False}
_OPTIONS = _FAST if PLACE.variant == FAST else {}
huey = SqliteHuey(filename=str(PLACE.path("huey.db")), **_OPTIONS)
logging.getLogger("huey").setLevel(logging.WARNING)


@huey.task()
def noop() -> None:
    work.noop()


@huey.task()
def insert() -> None:
    work.noop()
    models.insert()


@huey.task()
def stamp(sent: int) -> None:
    work.stamp(sent)


TASKS: dict[str, Any] = {work.NOOP: noop, work.INSERT: insert, work.STAMP: stamp}


class Peer(Subject):
    uses_django = False

    def install(self) -> None:
        set_up_django(migrate=True)

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        for args in calls:
            TASKS[job](*args)

    def enqueue_one(self, job: str, *args: Any) -> None:
        TASKS[job](*args)

    def unsettled(self) -> int:
        return int(huey.pending_count())

    def command(self) -> Sequence[str]:
        options = ["--workers", "1", "--no-periodic", "--quiet"]
        return python("huey.bin.huey_consumer", "bench.peers.huey_.huey", *options)
