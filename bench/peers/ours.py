"""The product: `runworker` with a `TaskWorker` of default options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection, transaction

import hosting
from bench.peers.base import Subject, python, set_up_django
from hosting.ids import uuid7

set_up_django()

from bench.project.tasks import TASKS  # noqa: E402 - after Django is set up
from hosting.models import Job  # noqa: E402 - as above


class Peer(Subject):
    _last: Sequence[str] = ()  # some of what was enqueued last, and the end of it

    def install(self) -> None:
        set_up_django(migrate=True)

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        if hasattr(hosting, "enqueue_many"):
            ids = hosting.enqueue_many(TASKS[job], calls)
            self._last = [*ids[:: max(1, len(ids) // 100)], *ids[-100:]]
            return
        with transaction.atomic():
            for args in calls:
                TASKS[job].enqueue(*args)

    def enqueue_one(self, job: str, *args: Any) -> None:
        TASKS[job].enqueue(*args)

    def unsettled(self) -> int:
        return int(Job._default_manager.exists())  # it holds none that has ended

    def has_settled_last(self) -> bool:
        return not Job._default_manager.filter(id__in=self._last).exists()

    def command(self) -> Sequence[str]:
        return python("bench.project", "runworker")

    def lacks(self, job: str) -> str:
        return "" if TASKS[job] else "tasks with atomic=True are not there"


class RawInsert:
    """INSERT of a row like a job's into the same table, by the driver alone, each a transaction.

    psycopg prepares it, as the options of the database allow.
    """

    def __init__(self, subject: Subject) -> None:
        subject.enqueue_one("noop")
        row: dict[str, Any] = dict(Job.objects.order_by("-id").values().first() or {})
        self._has_uuid = isinstance(row["id"], UUID)
        if not self._has_uuid:
            del row["id"]
        self._row = row
        columns, holes = ", ".join(row), ", ".join(f"%({name})s" for name in row)
        self._statement = f"INSERT INTO {Job._meta.db_table} ({columns}) VALUES ({holes})"
        connection.ensure_connection()
        driver = connection.connection
        # Django's cursor puts the parameters into the text, which is never prepared.
        self._cursor = psycopg.Cursor(driver) if self._has_uuid else driver.cursor()

    def insert(self) -> None:
        if self._has_uuid:
            self._row["id"] = uuid7()
        self._cursor.execute(self._statement, self._row)
