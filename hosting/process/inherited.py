"""Database connections and pools that a forked process has inherited, and must not use.

Parent and child share the socket of such a connection: what one says, the other's session hears. So
the child lets go of it without a word to the database, which would end the parent's session: its
descriptor is pointed at nothing, and the object is dropped. A pool is dropped likewise, as the
threads that kept it are not there in the child.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)


def renounce_connections() -> None:
    """Forget every connection and pool of this process, which was forked, in this thread."""
    for connection in connections.all(initialized_only=True):
        _renounce(connection)
        del connections[connection.alias]
    for alias in connections:
        _renounce_pools(connections[alias])


def _renounce(connection: BaseDatabaseWrapper) -> None:
    if connection.connection is None:
        return
    if connection.vendor == "sqlite":
        # There is no session to share. What the library knows of the file's locks is the parent's,
        # though, and is only forgotten when the last connection is closed.
        with suppress(Exception):
            connection.connection.close()
    else:
        _silence(connection.connection)


def _renounce_pools(connection: BaseDatabaseWrapper) -> None:
    pools: dict[str, Any] = getattr(connection, "_connection_pools", {})
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
