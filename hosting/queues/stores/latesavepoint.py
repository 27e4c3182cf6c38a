"""Savepoints of PostgreSQL that are sent along with the first statement after them.

A savepoint by itself costs a round trip, as much as a short job's own statement does. Django's
cursors put the parameters into the text, so that both can be sent as one text, which the database
executes as if they had come one by one. Whatever else is done first with the connection has the
savepoint sent alone before it. A job that executes nothing costs none.

Only who hands statements to libpq himself, as psycopg's own objects never do, calls `send_late`.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import ClientCursor
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus

#: The names of those that are not sent yet, by the driver's connection.
_late: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def begin_late(driver: Any, name: str) -> None:
    """Have a savepoint begin with whatever is next in the transaction that goes on."""
    if issubclass(driver.cursor_factory, ClientCursor):
        driver.cursor_factory = _joining(driver.cursor_factory)
    _late[driver] = name
    driver.wait = lambda *args, **kwargs: _wait(driver, *args, **kwargs)


def forget_late(driver: Any) -> str | None:
    """Its name, if a savepoint was not sent; it will not be."""
    if (name := _late.pop(driver, None)) is not None:
        del driver.wait
    return name


def send_late(driver: Any) -> None:
    """Begin the savepoint alone, if there is one that was not sent."""
    if (name := forget_late(driver)) is not None:
        result = driver.pgconn.exec_(f"SAVEPOINT {name}".encode())
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)


def _wait(driver: Any, *args: Any, **kwargs: Any) -> Any:
    """What psycopg has in all that it does: its generators send when they are waited for."""
    send_late(driver)
    return driver.wait(*args, **kwargs)


@cache
def _joining(cursor_class: Any) -> Any:
    """The class of cursor, whose `execute` sends a savepoint along."""
    if hasattr(cursor_class, "joins_savepoint"):
        return cursor_class

    class Joining(cursor_class):  # type: ignore[misc]  # mypy knows no class that is a value
        joins_savepoint = True

        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            driver = self.connection
            if driver not in _late or options or not isinstance(query, str):
                return super().execute(query, params, **options)
            # Put together here: psycopg would keep each text, with a name that never comes again.
            text = query if params is None else self.mogrify(query, params)
            super().execute(f"SAVEPOINT {forget_late(driver)};{text}")
            self.nextset()
            return self

    Joining.__name__, Joining.__qualname__ = cursor_class.__name__, cursor_class.__qualname__
    return Joining
