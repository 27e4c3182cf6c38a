"""Savepoints of PostgreSQL that are sent along with the first statement after them.

A savepoint by itself costs a round trip, as much as a short job's own statement does. Django's
cursors put the parameters into the text, so that both can be sent as one text, which the database
executes as if they had come one by one. Whatever else is done first with the connection has the
savepoint sent alone before it. A job that executes nothing costs none.

Only who hands statements to libpq himself, as psycopg's own objects never do, calls `send_late`.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql.base import Cursor, ServerBindingCursor

from hosting.queues.stores.libpq import perform_locked

_Base: Any = Cursor


def begin_late(driver: Any, name: str) -> None:
    """Have a savepoint begin with whatever is next in the transaction that goes on."""
    # Another class may note what it executes, and is not to see values in the place of parameters.
    if driver.cursor_factory is _Base:
        driver.cursor_factory = _JoiningCursor
    driver.wait = _Late(driver, name)


def forget_late(driver: Any) -> str | None:
    """Its name, if a savepoint was not sent; it will not be."""
    if (late := _late(driver)) is None:
        return None
    del driver.wait
    return late.name


def has_cursors_of_django(driver: Any) -> bool:
    """Whether nobody has put a class in the place of Django's, to note what is executed."""
    return driver.cursor_factory in (_Base, _JoiningCursor, ServerBindingCursor)


def send_late(driver: Any) -> None:
    """Begin the savepoint alone, if there is one that was not sent."""
    if (name := forget_late(driver)) is not None:
        perform_locked(driver, f"SAVEPOINT {name}")


class _Late:
    """A savepoint that is not sent yet, in the place of what psycopg has in all that it does.

    Its generators send when they are waited for.
    """

    __slots__ = ("_driver", "name")

    def __init__(self, driver: Any, name: str) -> None:
        self._driver = driver
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        driver = self._driver
        send_late(driver)
        return driver.wait(*args, **kwargs)


def _late(driver: Any) -> _Late | None:
    wait = vars(driver).get("wait")
    return wait if type(wait) is _Late else None


class _JoiningCursor(_Base):  # type: ignore[misc]  # the stubs know little of this class
    """Django's cursor, whose `execute` sends a savepoint along."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        driver = self.connection
        if options or not isinstance(query, str) or _late(driver) is None:
            return super().execute(query, params, **options)
        # Put together here: psycopg would keep each text, with a name that never comes again.
        text = query if params is None else self.mogrify(query, params)
        super().execute(f"SAVEPOINT {forget_late(driver)};{text}")
        self.nextset()
        return self
