"""The store for PostgreSQL: one statement per call.

Settling and claiming share a statement, and so a round trip and a commit: finished jobs are deleted
and inserted into the results, and the next ones are claimed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import RawSQL
from psycopg import IsolationLevel

from hosting.cancellation import CancellationToken
from hosting.models import Job
from hosting.queues.stores.adding import Adding
from hosting.queues.stores.committing import ends_here, settle_and_commit
from hosting.queues.stores.deadline import (
    connecting_within,
    deadline,
    no_connecting_after,
    shut_socket,
)
from hosting.queues.stores.delivery import delivered
from hosting.queues.stores.duties import Upkeep
from hosting.queues.stores.inbox import Inbox
from hosting.queues.stores.latesavepoint import begin_late, forget_late
from hosting.queues.stores.libpq import (
    begin_plainly,
    can_ask,
    fetch,
    has_failed,
    perform,
)
from hosting.queues.stores.listener import Listener
from hosting.queues.stores.statements import postgresql as statements
from hosting.queues.stores.statements.parameters import columns, places
from hosting.queues.stores.statements.postgresql import settled
from hosting.queues.stores.upkeep import TableUpkeep
from hosting.queues.stores.values import (
    Claim,
    Exchange,
    Key,
    Look,
    Retry,
    Settlement,
    Wanted,
)

#: A transaction of another level fails when it writes what others have written meanwhile.
_SEE_UPDATES = (None, IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED)


class PostgreSQLStore(Adding):
    """Keeps jobs in PostgreSQL."""

    leaves_out_paused = True

    def exchange(self, settlements: Sequence[Settlement], wanted: Wanted | None) -> Exchange:
        if _are_repeated(settlements):
            return super().exchange(settlements, wanted)  # several statements, in a transaction
        if not settlements:
            return Exchange(claims=self._claim(wanted)) if wanted else Exchange()
        names = self._names(wanted) if wanted else ()
        ended = settled(settlements)
        if wanted and names:
            statement = statements.claim(len(names), wanted.limit, settles=True)
            rows = self._fetch(statement, [*ended, *places(wanted, names)])
        else:
            rows = self._fetch(statements.SETTLE, ended)
        refused, moment = rows[0][:2]
        claims = [row[2:] for row in rows if row[2:3] not in ((), (None,))]
        return Exchange(frozenset(refused or ()), self._moment(moment), self._in_order(claims))

    def settle_last(self, settlements: Sequence[Settlement]) -> Exchange:
        connection: Any = self.connection
        if not settlements or _are_repeated(settlements) or not ends_here(connection):
            return self.settle(settlements)
        refused, moment = settle_and_commit(connection, settlements)
        return Exchange(refused, self._moment(moment))

    def look(
        self, backend: str, queues: Collection[str] | None, after: Mapping[str, Key] | None
    ) -> Look:
        chosen = [backend] if queues is None else [backend, list(queues)]
        first: list[Any] = [] if after is None else chosen
        if after:
            first = [*columns(after), backend]
        statement = statements.look(
            asks=after is not None, behind=bool(after), chooses=queues is not None
        )
        [row] = self._fetch(statement, [*first, *chosen, backend, backend])
        return Look(*row)

    def _execute(self, connection: Any, statement: str, parameters: Sequence[Any]) -> list[Any]:
        return fetch(connection.connection, statement, parameters)

    def _perform(self, connection: Any, statement: str) -> None:
        perform(connection.connection, statement)

    def _begin_savepoint(self, connection: Any, name: str, late: bool) -> None:
        driver = connection.connection
        if late and can_ask(driver):
            begin_late(driver, name)
            return
        with connection.wrap_database_errors:
            if begin_plainly(driver, name):
                return
        super()._begin_savepoint(connection, name, late)

    def has_failed(self, connection: Any) -> bool:
        return has_failed(connection.connection)

    def leave_savepoint(self, name: str) -> None:
        if (driver := self.connection.connection) is not None:
            forget_late(driver)

    def sever(self, connection: Any) -> None:
        shut_socket(connection)

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        connection = self.connection
        if connection.in_atomic_block:  # it is connected, or must not be any more
            return deadline(connection, seconds, shut_socket)
        return self.farewell(seconds)

    @contextmanager
    def farewell(self, seconds: float) -> Iterator[None]:
        connection = self.connection
        with (
            deadline(connection, seconds, shut_socket),
            connecting_within(connection, seconds),
        ):
            yield

    @contextmanager
    def hung_up_at(self, end: CancellationToken, seconds: float) -> Iterator[None]:
        connection = self.connection
        with (
            connecting_within(connection, seconds),
            no_connecting_after(end, connection),
            end.register(lambda: shut_socket(connection.connection)),
        ):
            yield

    def end_when_silent(self, seconds: float) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(statements.END_WHEN_SILENT, [f"{seconds * 1000:.0f}ms"])

    def holds(self, rows: QuerySet[Any]) -> bool:
        statement, parameters = rows.values("pk").query.sql_with_params()
        with self.connection.cursor() as cursor:
            cursor.execute(f"{statement} FOR KEY SHARE", parameters)
            return cursor.fetchone() is not None

    def unlocked(self, model: type[Model], key: object) -> Q:
        # Django's own way needs a transaction, and so a lock that outlives the statement.
        quote = self.connection.ops.quote_name
        table, column = quote(model._meta.db_table), quote(str(model._meta.pk.column))
        return Q(pk__in=RawSQL(statements.UNLOCKED.format(column=column, table=table), [key]))

    def listening(
        self, ring: Callable[[], bool], inbox: Inbox | None = None
    ) -> AbstractContextManager[bool]:
        return Listener(self.alias, ring, inbox, self._claim_sent)

    def _claim_sent(self, text: str) -> Claim:
        return self._claim_of(delivered(text))

    def tell(self) -> None:
        self._fetch(statements.TELL, [""])

    def note_listening(
        self, process: str, is_listening: bool, inboxes: Sequence[Inbox] = ()
    ) -> None:
        text = json.dumps([inbox.address for inbox in inboxes])
        self.processes.filter(id=process).update(is_listening=is_listening, inboxes=text)

    @property
    def upkeep(self) -> Upkeep:
        return _PostgreSQLUpkeep(self)

    def sees_updates(self, connection: Any) -> bool:
        return connection.isolation_level in _SEE_UPDATES

    def has_lost(self) -> bool:
        """Whether a job is held by a process that does not live."""
        return bool(self._fetch(statements.LOST, [])[0][0])

    def _names(self, wanted: Wanted) -> Collection[str]:
        # Asking which queues there are reads the head of each, where a search behind places is not
        # to go.
        if wanted.queues is None and wanted.after:
            return list(wanted.after)
        return super()._names(wanted)

    def _claim(self, wanted: Wanted) -> list[Claim]:
        if not (names := self._names(wanted)):
            return []
        is_alone = wanted.may_be_lost and self.connection.get_autocommit()
        statement = statements.claim(len(names), wanted.limit, is_alone=is_alone)
        return self._in_order(self._fetch(statement, places(wanted, names)))

    def _id(self, value: UUID) -> UUID:
        return value

    def _seconds_between(self, earlier: float, later: float) -> float:
        return later - earlier

    def _moment(self, value: float | None) -> Any:
        if value is None:
            return None
        if settings.USE_TZ:
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromtimestamp(value, self.connection.timezone).replace(tzinfo=None)


def _are_repeated(settlements: Sequence[Settlement]) -> bool:
    """Whether some of the jobs are to run again."""
    return any(isinstance(each.result, Retry) for each in settlements)


class _PostgreSQLUpkeep(TableUpkeep):
    """Upkeep that does not read what the processes that live have held before."""

    def __init__(self, store: PostgreSQLStore) -> None:
        super().__init__(store)
        self._store = store

    def _is_any(self, lost: QuerySet[Job]) -> bool:
        return self._store.has_lost()
