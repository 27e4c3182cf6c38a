"""Looks into the files of SQLite, beside SQLite itself.

Whoever closes a file releases all locks that SQLite has on it for this process
(sqlite.org/howtocorrupt.html, 2.2), and another process would write into the middle of a
transaction. So a file that was opened here stays open until the process ends.
"""

from __future__ import annotations

import os
from pathlib import Path

from hosting import forks

#: What was opened, by device and inode.
_files: dict[tuple[int, int], int] = {}
_opening = forks.lock()


def open_for_good(path: Path) -> int:
    """A descriptor of the file that is there now, for reading; raises OSError if none is."""
    with _opening:
        there = os.stat(path)
        if (there.st_dev, there.st_ino) not in _files:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            opened = os.fstat(file)  # which may be another by now
            return _files.setdefault((opened.st_dev, opened.st_ino), file)
        return _files[there.st_dev, there.st_ino]
