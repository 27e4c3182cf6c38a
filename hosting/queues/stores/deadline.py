"""A limit on the client's side for what it waits for from its database.

A connection whose other end is gone without a word (a cut network, a frozen server) answers
neither with data nor with an error, and keepalives may need hours to notice. So whoever must not
wait for ever has the connection hung up.
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hosting.alarm import alarm

HangUp = Callable[[Any], object]


@contextmanager
def deadline(connection: Any, seconds: float, hang_up: HangUp) -> Iterator[None]:
    """Have `hang_up` called with the database driver's connection after so many seconds."""
    running = _Running(connection, hang_up)
    alarm.ring_at(time.monotonic() + seconds, _ring(weakref.ref(running)))
    try:
        yield
    finally:
        running.is_over = True


def connect_within(wrapper: Any, seconds: float) -> None:
    """Connect to PostgreSQL, which cannot be hung up before it is connected.

    The driver takes its time limit in whole seconds, 2 or more. A pool has its own.
    """
    settings = wrapper.settings_dict
    options = settings["OPTIONS"]
    if wrapper.connection is None and not options.get("pool"):
        limit = min(max(2, int(seconds)), int(options.get("connect_timeout") or seconds + 2))
        limited = {**options, "connect_timeout": limit}
        wrapper.settings_dict = {**settings, "OPTIONS": limited}
    try:
        wrapper.ensure_connection()
    finally:
        wrapper.settings_dict = settings


def shut_socket(connection: Any) -> None:
    """End a psycopg connection under the hands of the thread that waits for it."""
    with suppress(Exception), socket.socket(fileno=os.dup(connection.pgconn.socket)) as copy:
        copy.shutdown(socket.SHUT_RDWR)


def interrupt(connection: Any) -> None:
    """End what a connection to SQLite does; one that is closed does nothing."""
    with suppress(Exception):
        connection.interrupt()


class _Running:
    def __init__(self, connection: Any, hang_up: HangUp) -> None:
        self.connection = connection
        self.hang_up = hang_up
        self.is_over = False


def _ring(weak: weakref.ref[_Running]) -> Callable[[], None]:
    def ring() -> None:
        running = weak()
        # The wrapper is asked only now: it may have connected within the block.
        if running is not None and not running.is_over:
            running.hang_up(running.connection.connection)

    return ring
