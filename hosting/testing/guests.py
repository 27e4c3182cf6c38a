"""Jobs in the transaction of a test, which has to go on after them, whatever they leave behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections

from hosting.queues.atomic import AtomicGroup
from hosting.queues.hand import JobInHand
from hosting.queues.housekeeping import restore_connections
from hosting.queues.outcomes import Outcome
from hosting.queues.savepoint import Savepoint
from hosting.queues.stores.base import Store


class LoneGroup(AtomicGroup):
    """Atomic jobs on the connection of a test, which may be one in memory that never closes."""

    def discard_connection(self) -> None:
        if self._connection.in_atomic_block:
            undo(self._connection)
        restore_connections()


class GuestGroup(AtomicGroup):
    """Atomic jobs in the transaction of a test, whose connection is the test's."""

    def run(
        self, jobs: Sequence[JobInHand], put_back: Callable[[JobInHand], None]
    ) -> list[Outcome]:
        place = Place(self._store)
        outcomes = super().run(jobs, put_back)
        place.restore()
        return outcomes

    def discard_connection(self) -> None:
        pass


class Place:
    """Where a job begins in the transaction of a test."""

    def __init__(self, store: Store) -> None:
        self._connection: Any = connections[store.alias]
        self._blocks = len(self._connection.atomic_blocks)
        self._savepoint = Savepoint(store)
        self._depth = len(self._connection.savepoint_ids)

    @property
    def is_lost(self) -> bool:
        """Whether the job has ended the transaction, or closed the connection."""
        connection = self._connection
        return connection.closed_in_transaction or len(connection.savepoint_ids) < self._depth

    def restore(self) -> bool:
        """Have the test go on; False if the job has left something open, which is undone."""
        connection = self._connection
        is_current = self._savepoint.is_current
        del connection.savepoint_ids[self._depth :], connection.atomic_blocks[self._blocks :]
        if not is_current or self._savepoint.is_broken:
            self._savepoint.roll_back()
        self._savepoint.end()
        return is_current


def transactions() -> set[str]:
    """The aliases on which this thread is in a transaction, as in a `TestCase`."""
    initialized: Any = connections.all(initialized_only=True)
    return {connection.alias for connection in initialized if connection.in_atomic_block}


def undo(connection: Any) -> None:
    """Roll back a transaction that nobody will end, also in memory, where no connection closes."""
    connection.savepoint_ids.clear()
    connection.atomic_blocks.clear()
    connection.in_atomic_block = connection.needs_rollback = False
    connection.rollback()
    connection.set_autocommit(True)
