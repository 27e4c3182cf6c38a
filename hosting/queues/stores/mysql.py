"""The store for MySQL and MariaDB: the generic one, but for who has to give way.

InnoDB locks the gaps between keys, and ends the deadlocks that come of it by undoing one of the
transactions. Who enqueues jobs with the same key as others do at that moment would hear of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import OperationalError

from hosting.queues.stores.orm import GenericStore
from hosting.queues.stores.values import JobRecord, NewJob

#: What the server says to whom it has undone (ER_LOCK_DEADLOCK).
DEADLOCK = 1213

#: How many times to try again.
TRIES = 10


class MySQLStore(GenericStore):
    """Keeps jobs in MySQL or MariaDB."""

    def add(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        is_callers = self.connection.in_atomic_block  # which is undone with it
        for _ in range(0 if is_callers else TRIES):
            try:
                return super().add(jobs)
            except OperationalError as error:
                if error.args[0] != DEADLOCK:
                    raise
        return super().add(jobs)
