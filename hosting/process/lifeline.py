"""The lifeline: a line between a process and the child that it has started.

The parent holds one end of a pair of sockets, the child watches the other. To have the child stop,
the parent lets go of its end; the child sees the end of the line, stops its host, and ends. That is
not a signal, so it cannot be mistaken for a second Ctrl-C when a terminal or a process manager has
signalled both, and a child whose parent was killed notices as well: no orphan is left. The one
thing that the child says on the line is that it is up.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

#: Environment variable with the number of the child's file descriptor.
LIFELINE = "HOSTING_LIFELINE"


class Lifeline:
    """The parent's end of the line to one child."""

    def __init__(self) -> None:
        self._held, self._childs = socket.socketpair()
        self.may_speak = True  # whether the child has neither said that it is up, nor ended

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start the child, with `options` of `subprocess.Popen`; raises OSError if that fails."""
        self._childs.set_inheritable(True)
        number = str(self._childs.fileno())
        try:
            return subprocess.Popen(
                arguments, env={**environment, LIFELINE: number}, close_fds=False, **options
            )
        finally:
            self._childs.close()

    def fileno(self) -> int:
        """The file descriptor, readable once there is something to hear, if it `may_speak`."""
        return self._held.fileno()

    def hears_up(self) -> bool:
        """Whether the child has said that it is up since this was last asked; does not wait."""
        if not self.may_speak:
            return False
        try:
            said = self._held.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionError:
            said = b""
        self.may_speak = False
        return said != b""

    def let_go(self) -> None:
        """Have the child stop; may be called again, and from a handler of signals."""
        self.may_speak = False
        self._held.close()


class ParentsLine:
    """The child's end of the line."""

    def __init__(self, end: int) -> None:
        self._end = end
        os.set_inheritable(end, False)

    def when_let_go(self, callback: Callable[[], object]) -> None:
        """Call `callback`, on a thread of its own, once the parent has let go, or has died."""

        def watch() -> None:
            with suppress(ConnectionError):
                os.read(self._end, 1)
            callback()

        threading.Thread(target=watch, name="hosting:lifeline", daemon=True).start()

    def say_up(self) -> None:
        """Tell the parent that this process does its work from now on."""
        with suppress(OSError):  # the parent has let go
            os.write(self._end, b".")


def line_to_parent() -> ParentsLine | None:
    """The line to the process that started this one, if it holds one; for the first who asks."""
    end = os.environ.pop(LIFELINE, None)
    return None if end is None else ParentsLine(int(end))
