"""What to do while the database is away: say so once, close the connection, try again later."""

from __future__ import annotations

import logging
from contextlib import suppress

from django.db import (
    Error,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connections,
)

from hosting.backoff import Backoff

logger = logging.getLogger(__name__)

#: What a database raises that is away, restarts, has no room, or has no tables yet.
DATABASE_TROUBLE = (OperationalError, InterfaceError, InternalError, ProgrammingError)

#: How long to wait between attempts to reach a database that is away (seconds).
BACKOFF = Backoff(initial=0.1, maximum=5.0)

#: Seconds that the database may take for one thing that it is asked for the queue, until its
#: connection is hung up.
PATIENCE = 60.0

#: Classes of SQLSTATE of what is no trouble of the database's, though Django does not tell it from
#: that: what a function raises, and what a statement must not give
#: (postgresql.org/docs/current/errcodes-appendix.html).
_RAISED = ("P0", "21", "2F", "38", "39", "44")

_NO_SCHEMA = (
    "no such table",
    "no such column",
    "does not exist",
    "doesn't exist",
    "unknown column",
)


def is_raised(error: Exception) -> bool:
    """Whether it is what a function or a trigger in the database has raised."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    return state[:2] in _RAISED


class Outage:
    """One row of failures to reach a database, from the first until it answers again."""

    def __init__(self, alias: str, service: str) -> None:
        self._alias = alias
        self._service = service
        self._failures = 0

    @property
    def has_begun(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def note(self, error: Exception) -> float:
        """Log the first failure and close the connection; seconds to wait before trying again.

        Raises the error inside a transaction of the caller, which cannot go on.
        """
        connection = connections[self._alias]
        if connection.in_atomic_block:
            raise error
        if not self._failures:
            logger.error(
                "Service %r cannot use the database %r (%s: %s). %s",
                self._service,
                self._alias,
                type(error).__name__,
                str(error).strip(),
                _advice(error, self._alias),
                extra={"service": self._service},
            )
        with suppress(Error):
            connection.close()
        self._failures += 1
        return BACKOFF.delay(self._failures)

    def end(self) -> None:
        """Log that the database is back, if it was away."""
        if self._failures:
            logger.warning(
                "Service %r can use the database %r again, after %d failures",
                self._service,
                self._alias,
                self._failures,
                extra={"service": self._service},
            )
        self._failures = 0


def _advice(error: Exception, alias: str) -> str:
    if any(words in str(error).lower() for words in _NO_SCHEMA):
        option = "" if alias == "default" else f" --database {alias}"
        return f"If its tables are missing, run: manage.py migrate{option}. It goes on trying."
    return "It goes on trying."
