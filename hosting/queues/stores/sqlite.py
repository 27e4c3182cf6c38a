"""The store for SQLite, for several threads and processes on one file.

Whoever begins by reading and then writes cannot wait for another writer: SQLite fails it at once
with "database is locked", as what it read is out of date. So what writes here takes the write lock
first (BEGIN IMMEDIATE), for which it waits in line, and an empty queue is noticed by a read without
it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.db import transaction

from hosting.queues.stores.base import Claim
from hosting.queues.stores.clock import sqlite_now
from hosting.queues.stores.orm import GenericStore
from hosting.queues.stores.sql import COLUMNS, TABLE, claimed, ready


class SQLiteStore(GenericStore):
    """Keeps jobs in SQLite."""

    def claim(
        self, worker_id: str, backend: str, queues: Collection[str] | None, limit: int
    ) -> list[Claim]:
        if not self._connection.features.can_return_columns_from_insert:
            return super().claim(worker_id, backend, queues, limit)  # SQLite older than 3.35
        now = sqlite_now()
        condition, chosen = ready(backend, queues)
        assignments, given = claimed(worker_id, now)
        due = f"SELECT id FROM {TABLE} WHERE {condition} AND due_at <= {now}"
        if not self._finds_any(due, chosen):
            return []
        statement = f"""
            UPDATE {TABLE} AS job SET {assignments}
            WHERE id IN ({due} ORDER BY priority DESC, due_at, id LIMIT %s)
            RETURNING {COLUMNS.replace("job.", "")}
        """
        with self._atomic():
            return self._claims(self._jobs.raw(statement, [*given, *chosen, limit]))

    def _finds_any(self, query: str, parameters: list[Any]) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute(f"{query} LIMIT 1", parameters)
            return cursor.fetchone() is not None

    def _atomic(self) -> AbstractContextManager[Any]:
        return self._immediate() if not self._connection.in_atomic_block else super()._atomic()

    @contextmanager
    def _immediate(self) -> Iterator[None]:
        """A transaction that holds the write lock from its beginning."""
        connection: Any = self._connection
        connection.ensure_connection()  # which sets the mode from the settings
        mode, connection.transaction_mode = connection.transaction_mode, "IMMEDIATE"
        try:
            with transaction.atomic(using=self.alias):
                yield
        finally:
            connection.transaction_mode = mode
