"""Where one job begins in a transaction that it shares with others."""

from __future__ import annotations

from typing import Any

from django.db import connections

from hosting.queues.stores.base import Store


class Savepoint:
    """Where one job begins in the transaction that it shares.

    Not `transaction.atomic`, which would release it: that may take as long as a short job's own
    statement, and the commit does it for all of them together. With `late` it may begin with the
    job's first statement; if the database could not read that, there is none to roll back to.
    """

    def __init__(self, store: Store, *, late: bool = False) -> None:
        self._store = store
        self._connection: Any = connections[store.alias]
        self._had_errors = self._connection.errors_occurred
        self._connection.errors_occurred = False
        self.id = store.savepoint(late=late)
        self._connection.savepoint_ids.append(self.id)
        self._depth = len(self._connection.savepoint_ids)

    @property
    def is_current(self) -> bool:
        """Whether the transaction is still the one that was begun, and no deeper."""
        connection = self._connection
        if connection.closed_in_transaction or not connection.in_atomic_block:
            return False
        return len(connection.savepoint_ids) == self._depth

    @property
    def is_in_doubt(self) -> bool:
        """Whether the job may have swallowed an error; which the database is not asked."""
        return self._has_failed or bool(self._connection.errors_occurred)

    @property
    def is_broken(self) -> bool:
        """Whether the job has swallowed an error after which nothing can be committed."""
        if self._has_failed:
            return True
        return bool(self._connection.errors_occurred) and not self._connection.is_usable()

    @property
    def _has_failed(self) -> bool:
        # Django notes no error of an integrity or of data, the driver does.
        connection = self._connection
        return bool(connection.needs_rollback) or self._store.has_failed(connection)

    def roll_back(self) -> None:
        """Undo what was done since, and forget its `on_commit` callbacks."""
        self._connection.needs_rollback = False
        self._connection.savepoint_rollback(self.id)

    def end(self) -> None:
        """Have what follows count for another job."""
        self._store.leave_savepoint(self.id)
        self._connection.savepoint_ids.pop()
        self._connection.errors_occurred |= self._had_errors
