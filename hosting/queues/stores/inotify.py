"""Linux's word of writes to a file (inotify(7)), which costs nothing while there are none."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import select
from pathlib import Path
from types import TracebackType

_MODIFY = 0x2  # IN_MODIFY in <sys/inotify.h>
_NONBLOCK = os.O_NONBLOCK | os.O_CLOEXEC  # IN_NONBLOCK and IN_CLOEXEC have the same values


class Writes:
    """Waits for writes to files in one directory whose names begin in the same way.

    Raises OSError where the system cannot tell of them.
    """

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
        if not hasattr(libc, "inotify_init1"):
            raise OSError("this system has no inotify")
        self._prefix = os.fsencode(path.name)
        self._file = libc.inotify_init1(_NONBLOCK)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 failed")
        self._wake_reader, self._wake_writer = os.pipe()
        if libc.inotify_add_watch(self._file, os.fsencode(path.parent), _MODIFY) < 0:
            error = ctypes.get_errno()
            self.close()
            raise OSError(error, f"{path.parent} cannot be watched")

    def __enter__(self) -> Writes:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def wait(self, seconds: float) -> bool:
        """Wait so long for a write; False if there was none. Ends early after `wake`."""
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        poll.register(self._wake_reader, select.POLLIN)
        ready = {file for file, _ in poll.poll(seconds * 1000)}
        return self._file in ready and self._prefix in os.read(self._file, 65_536)

    def wake(self) -> None:
        """End the wait of another thread."""
        os.write(self._wake_writer, b"x")

    def close(self) -> None:
        """Give back the files."""
        for file in (self._file, self._wake_reader, self._wake_writer):
            os.close(file)
