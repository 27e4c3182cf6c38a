"""How a web process, which belongs to its server, gets to stop its host before it ends.

Two ways lead out of such a process. The interpreter may exit: then the host is stopped by a
callback that runs before the interpreter takes away the means to start threads, which `atexit`
callbacks come too late for. Or SIGTERM may kill it, where neither the server nor anyone else
handles that signal: then a handler stops the host first, and lets the signal kill the process after
that. A handler that is there already is left alone.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  (registers its own exit callback, which must run after ours)
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

#: `threading._register_atexit` is private, yet the only hook that runs while threads can still be
#: started; the executors of `concurrent.futures` rest on it as well.
_at_exit: Callable[..., Any] = getattr(threading, "_register_atexit", atexit.register)


#: Set once the interpreter has begun to exit (see `note_exit`).
exiting = threading.Event()


def note_exit() -> None:
    """Have `exiting` set when the interpreter begins to exit."""
    _at_exit(exiting.set)


def stop_before_exit(stop: Callable[[], object], *, impatient: bool) -> None:
    """Call `stop`, which may be called again, when the interpreter exits.

    A signal meanwhile ends an `impatient` process at once. Another, a reloader's child, may be
    exiting in order to be started again, so this signal may be the first: it leaves the end to its
    parent, which kills it at the second.
    """

    def stop_whatever_comes() -> None:
        while True:
            try:
                stop()
            except (KeyboardInterrupt, SystemExit):
                if impatient:
                    os._exit(1)
            else:
                return

    _at_exit(stop_whatever_comes)


def stop_before_sigterm_kills(stop: Callable[[], object]) -> None:
    """Call `stop` before SIGTERM kills the process, if nobody handles SIGTERM; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _LastWord(stop))


class _LastWord:
    """A handler for SIGTERM: the first stops the host, the second (ours or another) kills."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._received = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._received:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._received = True
        threading.Thread(target=self._stop_then_kill, args=(number,), daemon=True).start()

    def _stop_then_kill(self, number: int) -> None:
        try:
            self._stop()
        finally:
            os.kill(os.getpid(), number)
