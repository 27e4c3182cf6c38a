"""How jobs come into PostgreSQL: each by one statement, which may claim it, or many by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import ProgrammingError

from hosting.queues.stores.delivery import delivery_of
from hosting.queues.stores.keys import write_limits
from hosting.queues.stores.latesavepoint import send_late
from hosting.queues.stores.libpq import ask, can_ask
from hosting.queues.stores.new import first_values, initial_state, limit_key, row_key
from hosting.queues.stores.sqlstore import SQLStore, is_watched, require_ready
from hosting.queues.stores.statements.delivery import DELIVER
from hosting.queues.stores.statements.parameters import as_text
from hosting.queues.stores.statements.postgresql import (
    INSERT,
    INSERT_MANY,
    INSERT_TIMED,
    array,
    numbered,
    quoted,
)
from hosting.queues.stores.values import NewJob

#: Seconds until delivering is tried again where it cannot be done.
UNABLE = 60.0


class Adding(SQLStore):
    """The part of the store that adds jobs."""

    _delivers_from = 0.0  # of the monotonic clock

    def add_many(self, jobs: Sequence[NewJob]) -> None:
        if jobs:
            write_limits(self, jobs[:1])
            first = jobs[0]
            arrays = [
                array(str(job.id) for job in jobs),
                array(quoted(job.args) for job in jobs),
                array(quoted(job.kwargs) for job in jobs),
            ]
            shared = [first.backend, first.queue_name, -first.priority, first.task_path]
            rest = [first.options, limit_key(first), first.expires_in, first.batch_id]
            state = [first.run_after, initial_state(first)]
            self._fetch(INSERT_MANY, [*state, *arrays, *shared, *rest, first.backend])

    def deliver(self, job: NewJob, meanwhile: Callable[[], object]) -> datetime | None:
        connection: Any = self.connection
        # In a transaction it would be claimed long before it is there.
        if not connection.get_autocommit() or (parameters := delivery_of(job)) is None:
            return None
        if (now := time.monotonic()) < self._delivers_from:
            return None
        try:
            return self._insert_due(connection, DELIVER, parameters, meanwhile)
        except ProgrammingError:  # a migration is missing, or a right to read: nothing is written
            self._delivers_from = now + UNABLE
            return None

    def _insert_row(self, job: NewJob, meanwhile: Callable[[], object]) -> datetime:
        state = initial_state(job)
        first = first_values(job)
        rest = [row_key(job), job.unique_until_claimed, job.batch_id, job.backend]
        if job.run_after is None and job.expires_in is None:
            values = [*first, state, *rest]
            return self._insert_due(self.connection, INSERT, values, meanwhile)
        meanwhile()
        waits_until = None if job.is_held else job.run_after
        times = [job.run_after, job.run_after, job.expires_in, waits_until, state]
        [(moment, _)] = self._fetch(INSERT_TIMED, [*first, *times, *rest])
        written_at: datetime = self._moment(moment)
        return written_at

    def _insert_due(
        self,
        connection: Any,
        statement: str,
        parameters: Sequence[Any],
        meanwhile: Callable[[], object],
    ) -> datetime:
        """Write the row of a job that is due at once, by this statement; when that was."""
        require_ready(connection)
        texts = [None if each is None else as_text(each) for each in parameters]
        # In libpq's hands a text ends at its first zero; the cursor refuses it.
        is_odd = b"\0" in b"".join(filter(None, texts))
        if is_odd or is_watched(connection) or not can_ask(connection.connection):
            meanwhile()
            [(moment, _)] = self._fetch(statement, parameters)
        else:
            driver = connection.connection
            with connection.wrap_database_errors:
                with driver.lock:
                    send_late(driver)
                result = ask(driver, numbered(statement), texts, meanwhile)
            moment = float(result.get_value(0, 0))
        written_at: datetime = self._moment(moment)
        return written_at
