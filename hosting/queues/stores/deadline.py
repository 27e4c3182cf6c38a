"""A limit on the client's side for what it waits for from its database.

A connection whose other end is gone without a word (a cut network, a frozen server) answers
neither with data nor with an error, and keepalives may need hours to notice. So whoever must not
wait for ever has the connection hung up.

There is a limit around every few statements, and hardly any is ever reached. So each thread has one
guard, which is asked when the alarm rings for the first limit, and has it ring again for the last.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import OperationalError

from hosting.alarm import alarm
from hosting.cancellation import CancellationToken

HangUp = Callable[[Any], object]


class deadline:  # noqa: N801 - used as a function
    """Have `hang_up` called with the database driver's connection after so many seconds."""

    __slots__ = ("_guard", "_outer", "hang_up", "until", "wrapper")

    def __init__(self, wrapper: Any, seconds: float, hang_up: HangUp) -> None:
        self.wrapper = wrapper
        self.hang_up = hang_up
        self.until = time.monotonic() + seconds

    def __enter__(self) -> None:
        self._guard = guard = _guard_of_thread()
        self._outer = outer = guard.limit
        if outer is not None and outer.wrapper is self.wrapper:
            self.until = min(self.until, outer.until)
        guard.watch(self)

    def __exit__(self, *exc_info: object) -> None:
        self._guard.watch(self._outer)


class _Guard:
    """Watches the limit that a thread is in."""

    def __init__(self) -> None:
        self.limit: deadline | None = None
        self._lock = threading.Lock()
        self._rings_at: float | None = None

    def watch(self, limit: deadline | None) -> None:
        """Watch this limit from now on, and no other."""
        with self._lock:
            self.limit = limit
            if limit is not None:
                self._see_to_ring(limit.until)

    def ring(self, moment: float) -> None:
        """Hang up if the time is over."""
        with self._lock:
            if self._rings_at != moment:
                return  # another ring comes sooner, or has come
            self._rings_at, limit = None, self.limit
            if limit is None:
                return
            if time.monotonic() < limit.until:
                self._see_to_ring(limit.until)
                return
            # The wrapper is asked only now: it may have connected within the block.
            limit.hang_up(limit.wrapper.connection)

    def _see_to_ring(self, moment: float) -> None:
        if self._rings_at is None or moment < self._rings_at:
            self._rings_at = moment
            weak = weakref.ref(self)
            alarm.ring_at(moment, lambda: _ring(weak, moment), lambda: weak() is None)


class _Guards(threading.local):
    guard: _Guard | None = None


_guards = _Guards()


def _guard_of_thread() -> _Guard:
    if (guard := _guards.guard) is None:
        guard = _guards.guard = _Guard()
    return guard


def _ring(weak: weakref.ref[_Guard], moment: float) -> None:
    if (guard := weak()) is not None:
        guard.ring(moment)


@contextmanager
def connecting_within(wrapper: Any, seconds: float) -> Iterator[None]:
    """Connect to PostgreSQL, which cannot be hung up before it is connected; so in the block, too.

    Django connects anew when it leaves a transaction whose connection is gone. The driver takes its
    time limit in whole seconds, 2 or more. A pool has its own.
    """
    settings = wrapper.settings_dict
    options = settings["OPTIONS"]
    if not options.get("pool"):
        limit = min(max(2, int(seconds)), int(options.get("connect_timeout") or seconds + 2))
        limited = {**options, "connect_timeout": limit}
        wrapper.settings_dict = {**settings, "OPTIONS": limited}
    try:
        if not wrapper.in_atomic_block:  # or it is connected, or must not be any more
            wrapper.ensure_connection()
        yield
    finally:
        wrapper.settings_dict = settings


@contextmanager
def no_connecting_after(end: CancellationToken, wrapper: Any) -> Iterator[None]:
    """Refuse to connect anew in the block once `end` is cancelled: nothing could hang that up.

    Django does when it leaves a transaction whose connection is gone.
    """
    outer, before = vars(wrapper).get("connect"), wrapper.connect

    def connect() -> None:
        if end.is_cancelled:
            raise OperationalError("The connection was hung up, and none is made in its place.")
        before()

    wrapper.connect = connect
    try:
        yield
    finally:
        del wrapper.connect
        if outer is not None:  # of a block around this one
            wrapper.connect = outer


def shut_socket(connection: Any) -> None:
    """End a psycopg connection under the hands of the thread that waits for it."""
    with suppress(Exception), socket.socket(fileno=os.dup(connection.pgconn.socket)) as copy:
        copy.shutdown(socket.SHUT_RDWR)


def interrupt(connection: Any) -> None:
    """End what a connection to SQLite does; one that is closed does nothing."""
    with suppress(Exception):
        connection.interrupt()
