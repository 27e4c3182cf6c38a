"""Database connections and pools that a forked process has inherited, and must not use.

Parent and child share the socket of such a connection: what one says, the other's session hears. So
the child lets go of it without a word to the database, which would end the parent's session: its
descriptor is pointed at nothing, and the object is dropped. A pool is dropped likewise, as the
threads that kept it are not there in the child.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from hosting.exceptions import HostingError

#: Connections that may be neither used nor closed nor collected.
_kept: list[Any] = []


def renounce_connections() -> None:
    """Forget every connection and pool of this process, which was forked, in this thread.

    Raises `HostingError` where that cannot be done without harm to the parent.
    """
    for connection in connections.all(initialized_only=True):
        _renounce(connection)
        del connections[connection.alias]
    engine = sys.modules.get("django.db.backends.postgresql.base")  # the one that has pools
    if engine is not None:
        _renounce_pools(engine.DatabaseWrapper._connection_pools)


def _renounce(connection: BaseDatabaseWrapper) -> None:
    if connection.connection is None:
        return
    if connection.vendor == "sqlite":
        _close(connection.connection, connection.alias)
    else:
        _silence(connection.connection)


def _close(connection: Any, alias: str) -> None:
    """Close an inherited connection of SQLite, unless its parent is in a transaction.

    There is no session to share. What the library knows of the file's locks is the parent's,
    though, and is only forgotten when the last connection is closed. With a transaction under way,
    that would undo or write the parent's half-done work, so the connection is kept for good.
    """
    try:
        in_transaction = connection.in_transaction
    except sqlite3.Error:
        return  # it is closed
    if in_transaction:
        _kept.append(connection)
        raise HostingError(
            f"The process was forked within a transaction of the database {alias!r}, which SQLite "
            "does not survive in the forked process."
        )
    connection.close()


def _renounce_pools(pools: dict[str, Any]) -> None:
    for alias in list(pools):
        pool = pools.pop(alias)
        for each in getattr(pool, "_pool", ()):
            _silence(each)
        pool._closed = True  # or it would wait for its threads when it is collected


def _silence(connection: Any) -> None:
    """Point the descriptor of a driver's connection at nothing, in this process only."""
    try:
        descriptor = connection.fileno()
    except Exception:  # the driver has its own words for one that is closed, or has none
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(nothing, descriptor, inheritable=False)
    finally:
        os.close(nothing)
