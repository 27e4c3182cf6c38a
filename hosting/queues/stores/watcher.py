"""Notices that another connection has written to an SQLite database.

`PRAGMA data_version` changes when any other connection commits, and asking costs microseconds and
takes no lock. A busy database is asked every few milliseconds, an idle one less often.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from django.db import Error, connections

from hosting.cancellation import CancellationToken
from hosting.threads import ServiceThread

#: Seconds between two looks while something was written in the last moments, and otherwise.
BUSY, IDLE = 0.004, 0.02

#: How long these moments are (seconds).
MOMENTS = 10.0


class Watcher:
    """Calls `ring` when another connection has committed."""

    def __init__(self, alias: str, ring: Callable[[], object]) -> None:
        self._alias = alias
        self._ring = ring
        self._closing = CancellationToken()

    def __enter__(self) -> bool:
        ServiceThread(f"hosting:watch:{self._alias}", self._run)
        return True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.cancel()

    def _run(self) -> None:
        while not self._closing.is_cancelled:
            try:
                self._watch()
            except Error:
                connections[self._alias].close()
                self._closing.wait(1.0)

    def _watch(self) -> None:
        wrapper = connections[self._alias]
        wrapper.ensure_connection()
        cursor = wrapper.connection.cursor()  # the driver's own, as this is no query to be logged
        known, changed_at = None, 0.0
        while not self._closing.wait(BUSY if time.monotonic() - changed_at < MOMENTS else IDLE):
            [version] = cursor.execute("PRAGMA data_version").fetchone()
            if version != known:
                known, changed_at = version, time.monotonic()
                self._ring()
