"""Linux's word of writes to a file (inotify(7)), which costs nothing while there are none."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from types import TracebackType

from hosting.bell import Bell

_MODIFY = 0x2  # IN_MODIFY in <sys/inotify.h>
_NONBLOCK = os.O_NONBLOCK | os.O_CLOEXEC  # IN_NONBLOCK and IN_CLOEXEC have the same values


class Writes:
    """Waits for writes to files in one directory whose names begin in the same way.

    Raises OSError where the system cannot tell of them.
    """

    def __init__(self, path: Path) -> None:
        if sys.platform != "linux":
            raise OSError("this system has no inotify")
        # What the interpreter is linked with; to look for it, ctypes starts processes.
        libc = ctypes.CDLL(None, use_errno=True)
        self._prefix = os.fsencode(path.name)
        self._file = libc.inotify_init1(_NONBLOCK)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 failed")
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

    def wait(self, seconds: float, bell: Bell) -> bool:
        """Wait so long for a write, or for the bell; False if there was no write."""
        bell.wait(seconds, [self._file])
        try:
            return self._prefix in os.read(self._file, 65_536)
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Give back the file."""
        os.close(self._file)
