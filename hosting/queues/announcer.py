"""Tells Django's signals what became of jobs, after it is stored, on a thread of its own.

Receivers are the project's code: they may be slow, use the database, or hang, and the worker's loop
must not wait for them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue

from hosting.cancellation import CancellationToken
from hosting.context import log_fields
from hosting.queues.housekeeping import restore_connections
from hosting.scope import Scope
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: Announcements that may wait before the worker claims no more.
BACKLOG = 2_000


class Announcer:
    """Calls functions one after the other, each in a scope, on a thread that is made on demand."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: ServiceThread | None = None

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that nothing more should be begun."""
        return self._calls.qsize() > BACKLOG

    def call(self, function: Callable[[], object]) -> None:
        """Have the function called soon."""
        if self._thread is None:
            self._thread = ServiceThread(self._name, self._run)
        self._calls.put(function)

    def finish(self, until: CancellationToken, at_least: float) -> None:
        """Wait until all has been said, or the token is cancelled; so many seconds at least."""
        self.close()
        if self._thread is not None and not self._thread.finished.wait(at_least):
            self._thread.wait(until)

    def close(self) -> None:
        """Take no more calls, and end once all has been said."""
        self._calls.put(None)

    def _run(self) -> None:
        while (function := self._calls.get()) is not None:
            try:
                with Scope():
                    function()
                    restore_connections()
            except Exception:
                logger.exception("What became of a job could not be announced", extra=log_fields())
