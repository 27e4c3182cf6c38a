"""How a web process, which belongs to its server, gets to stop its host before it ends.

A signal may come first (`web_signals`). At the latest the interpreter exits, with or without one:
then a callback waits for the host to stop. It runs before the interpreter takes away the means to
start threads, which `atexit` callbacks come too late for.
"""

from __future__ import annotations

import atexit
import concurrent.futures.process
import concurrent.futures.thread  # noqa: F401 - so that these wait for their work after our stop
import os
import threading
from collections.abc import Callable
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

    Ctrl-C meanwhile ends an `impatient` process at once. Another may have a parent, which kills it
    when it has waited long enough: a reloader's child may be exiting in order to be started again,
    so that this signal is the first, and a server may signal its worker a second time, whose
    handler then raises SystemExit in here.
    """

    def stop_whatever_comes() -> None:
        while True:
            try:
                stop()
            except KeyboardInterrupt:
                if impatient:
                    os._exit(1)
            except SystemExit:
                pass
            else:
                return

    _at_exit(stop_whatever_comes)
