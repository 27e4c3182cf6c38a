"""LISTEN on PostgreSQL: a connection of its own, on a thread of its own.

Notifications make workers quick, and nothing more: one may be lost with its connection, or be sent
in the moment before a worker sleeps. Workers look by themselves from time to time.
"""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable
from typing import Any

from django.db import connections

from hosting.backoff import Backoff
from hosting.context import log_fields
from hosting.queues.stores.deadline import connecting_within, deadline, shut_socket
from hosting.queues.stores.listening import Listening

logger = logging.getLogger(__name__)

CHANNEL = "hosting_job"

#: Seconds without a notification after which the connection is tried.
SILENCE = 30.0

#: Seconds that it may take to answer.
PATIENCE = 10.0

BACKOFF = Backoff(initial=0.5, maximum=30.0)


class Listener(Listening):
    """Calls `ring` for every notification, and whenever some may have been missed."""

    def __init__(self, alias: str, ring: Callable[[], bool]) -> None:
        super().__init__(alias, ring)
        self._wrapper: Any = None
        self._failures = 0  # in a row

    def _interrupt(self) -> None:
        if self._wrapper is not None:
            shut_socket(self._wrapper.connection)

    def _run(self) -> None:
        while not self._closing.is_cancelled:
            try:
                self._listen()
            except Exception as error:
                self._failures += 1
                if self._failures == 1 and not self._closing.is_cancelled:
                    logger.warning(
                        "Notifications of %r are interrupted: %s",
                        self._alias,
                        error,
                        extra=log_fields(),
                    )
                self._closing.wait(BACKOFF.delay(self._failures))

    def _listen(self) -> None:
        self._wrapper = _apart(self._alias)
        try:
            self._execute(f"LISTEN {CHANNEL}")
            self._failures = 0
            # What comes with the answer to a statement.
            self._wrapper.connection.add_notify_handler(lambda _: self._ring())
            self._ring()
            with selectors.DefaultSelector() as selector:
                selector.register(self._wrapper.connection.pgconn.socket, selectors.EVENT_READ)
                while not self._closing.is_cancelled:
                    if selector.select(SILENCE):
                        self._hear()
                    else:
                        self._execute("SELECT 1")
        finally:
            self._wrapper.close()

    def _hear(self) -> None:
        """Ring if the server has sent a notification.

        Not by psycopg's `notifies`, which looks ten times a second whether it was interrupted.
        """
        pgconn = self._wrapper.connection.pgconn
        pgconn.consume_input()
        is_told = False
        while pgconn.notifies():
            is_told = True
        if is_told:
            self._ring()

    def _execute(self, statement: str) -> None:
        with (
            deadline(self._wrapper, PATIENCE, shut_socket),
            connecting_within(self._wrapper, PATIENCE),
            self._wrapper.cursor() as cursor,
        ):
            cursor.execute(statement)


def _apart(alias: str) -> Any:
    """A connection that no pool lends: who listens would never give it back."""
    wrapper: Any = connections[alias].copy()
    options = {**wrapper.settings_dict["OPTIONS"]}
    options.pop("pool", None)
    wrapper.settings_dict = {**wrapper.settings_dict, "OPTIONS": options}
    return wrapper
