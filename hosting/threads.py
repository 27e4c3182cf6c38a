"""Threads on which the methods of services run, and what can be seen of one that hangs."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable

from hosting.cancellation import CancellationToken
from hosting.context import Work, log_fields, working_on
from hosting.scope import close_connections

logger = logging.getLogger(__name__)


#: Seconds that a thread gets to end in, so that it is not in the database when the interpreter
#: ends.
FAREWELL = 0.5


class ServiceThread(threading.Thread):
    """A daemon thread that makes one call, keeps what it raised, and closes its connections.

    A daemon, because the interpreter joins other threads before `atexit` runs, which is where a web
    process stops its host. `on` is what it works on; default: the same as its maker.
    """

    def __init__(self, name: str, call: Callable[[], object], *, on: Work | None = None) -> None:
        super().__init__(name=name, daemon=True)
        self._call = call
        self._work = on or working_on.get()
        self.error: BaseException | None = None
        self.finished = CancellationToken()
        self.start()

    def run(self) -> None:
        working_on.set(self._work)
        try:
            self._call()
        except BaseException as error:
            self.error = error
        finally:
            self._end()

    def wait(self, cancel: CancellationToken) -> bool:
        """Wait until the call has ended or `cancel` is cancelled; True if it has ended."""
        CancellationToken(self.finished, cancel).wait()
        return self.finished.is_cancelled

    def part(self) -> None:
        """Wait a moment for the call to end, which has been asked to."""
        self.finished.wait(FAREWELL)

    def stack(self) -> str:
        """Where the call is now, as a traceback prints it."""
        return thread_stack(self)

    def _end(self) -> None:
        try:
            close_connections()
        except Exception:
            logger.exception(
                "%s could not close its database connections", self.name, extra=log_fields()
            )
        finally:
            self.finished.cancel()


def thread_stack(thread: threading.Thread) -> str:
    """Where a thread is now, as a traceback prints it."""
    frame = sys._current_frames().get(thread.ident or 0)
    return "".join(traceback.format_stack(frame)) if frame else "(it has just ended)\n"
