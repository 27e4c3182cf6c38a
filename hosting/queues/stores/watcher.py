"""Notices that something was written to an SQLite database, by this process or another.

Where the system tells of writes to files, it is asked to. Elsewhere `PRAGMA data_version` is looked
at, which changes when another connection commits, costs microseconds and takes no lock: every few
milliseconds in a database that is busy, less often in one that is idle.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from django.db import Error, connections

from hosting.cancellation import CancellationToken
from hosting.queues.stores.inotify import Writes
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: Seconds between two looks while something was written in the last moments, and otherwise.
BUSY, IDLE = 0.004, 0.02

#: How long these moments are (seconds).
MOMENTS = 10.0

#: Seconds that one wait for a write takes at most.
LONGEST = 60.0


class Watcher:
    """Calls `ring` when something was written."""

    def __init__(self, alias: str, ring: Callable[[], object]) -> None:
        self._alias = alias
        self._ring = ring
        self._closing = CancellationToken()
        self._lock = threading.Lock()
        self._writes: Writes | None = None

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
        with self._lock:
            if self._writes is not None:
                self._writes.wake()

    def _run(self) -> None:
        try:
            writes = Writes(_path(self._alias))
        except OSError as error:
            logger.debug("Writes to %r are looked for, as %s", self._alias, error)
            return self._poll()
        try:
            self._writes = writes
            while not self._closing.is_cancelled:
                if writes.wait(LONGEST):
                    self._ring()
        finally:
            with self._lock:
                self._writes = None
                writes.close()

    def _poll(self) -> None:
        while not self._closing.is_cancelled:
            try:
                self._compare_versions()
            except Error:
                connections[self._alias].close()
                self._closing.wait(1.0)

    def _compare_versions(self) -> None:
        wrapper: Any = connections[self._alias]
        wrapper.ensure_connection()
        cursor = wrapper.connection.cursor()  # the driver's own, as this is no query to be logged
        known, changed_at = None, 0.0
        while not self._closing.wait(BUSY if time.monotonic() - changed_at < MOMENTS else IDLE):
            [version] = cursor.execute("PRAGMA data_version").fetchone()
            if version != known:
                known, changed_at = version, time.monotonic()
                self._ring()


def _path(alias: str) -> Path:
    """The file of the database; raises OSError if it is in memory."""
    name = str(connections[alias].settings_dict["NAME"])
    if name == ":memory:" or name.startswith("file:"):
        raise OSError("it may be in memory")
    return Path(name).resolve()
