"""Notices that something was committed to an SQLite database, by this process or another.

Where the system tells of writes to files, it is asked to. A write comes a moment before its commit
can be seen, which the counter of commits in the WAL-index tells (sqlite.org/walformat.html, 2.1).
Elsewhere `PRAGMA data_version` is looked at, which changes when another connection commits, costs
microseconds and takes no lock: every few milliseconds in a database that is busy, less often in one
that is idle.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.db import Error, connections

from hosting.bell import Bell
from hosting.context import log_fields
from hosting.queues.stores.files import open_for_good
from hosting.queues.stores.inotify import Writes
from hosting.queues.stores.listening import Listening

logger = logging.getLogger(__name__)

#: Seconds between two looks, at least: while something was written in the last moments and somebody
#: wants to know, and otherwise.
BUSY, IDLE = 0.004, 0.02

#: How long these moments are (seconds).
MOMENTS = 10.0

#: How often, and after how many seconds each, a write is looked at whether it was a commit.
LOOKS, GAP = 25, 0.001

#: Seconds that one wait for a write takes at most.
LONGEST = 60.0


class Watcher(Listening):
    """Calls `ring` when something was written."""

    def __init__(self, alias: str, ring: Callable[[], bool]) -> None:
        super().__init__(alias, ring)
        self._bell = Bell()

    def _interrupt(self) -> None:
        self._bell.ring()

    def _run(self) -> None:
        try:
            path = _path(self._alias)
            self._require_log()
            counter = Counter(path)
            with Writes(path) as writes, self._bell:
                self._watch(counter, writes)
        except (OSError, Error) as error:
            logger.debug(
                "Commits to %r are looked for, as %s", self._alias, error, extra=log_fields()
            )
            self._poll()

    def _require_log(self) -> None:
        """See to it that there is an index, by being a reader; raises OSError where none is used.

        One may be there all the same, left behind by a crash.
        """
        with connections[self._alias].cursor() as cursor:
            cursor.execute("PRAGMA journal_mode")
            [mode] = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM sqlite_master")
        if mode != "wal":
            raise OSError(f"it keeps no log: journal_mode is {mode}")

    def _watch(self, counter: Counter, writes: Writes) -> None:
        heard_at = float("-inf")  # when a write or a commit was last heard of
        while not self._closing.is_cancelled:
            # Without another write, too: one that was heard of may become a commit only after
            # that of another was seen, or any time later if its writer is held up. The longer
            # ago it was, the rarer is the look.
            age = time.monotonic() - heard_at
            is_written = writes.wait(min(max(age, LOOKS * GAP), LONGEST), self._bell)
            is_news = self._is_committed(counter) if is_written else counter.has_changed()
            if is_written or is_news:
                heard_at = time.monotonic()
            if is_news:
                is_of_use = self._ring()
                # Else a thread would be woken for each of thousands of commits in a second.
                self._closing.wait(BUSY if is_of_use else IDLE)

    def _is_committed(self, counter: Counter) -> bool:
        """Whether the write was followed by a commit, which may take a moment."""
        return any(counter.has_changed() or self._closing.wait(GAP) for _ in range(LOOKS))

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


class Counter:
    """The counter of commits in the WAL-index; raises OSError where there is none."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-shm")
        self._file = open_for_good(self._path)
        self._known = self._read()

    def has_changed(self) -> bool:
        """Whether there was a commit since the last time."""
        known, self._known = self._known, self._read()
        return known != self._known

    def _read(self) -> tuple[bytes, int]:
        # The file is made anew when the last connection of all has closed: then the inode changes.
        with suppress(FileNotFoundError):
            self._file = open_for_good(self._path)
        return os.pread(self._file, 4, 8), self._file


def _path(alias: str) -> Path:
    """The file of the database; raises OSError if it is in memory."""
    name = str(connections[alias].settings_dict["NAME"])
    if name == ":memory:" or name.startswith("file:"):
        raise OSError("it may be in memory")
    return Path(name).resolve()
