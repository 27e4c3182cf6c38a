"""Writes log lines into their table, on a thread of its own, and keeps that table small."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from contextvars import Context
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from django.apps import apps
from django.core.exceptions import AppRegistryNotReady
from django.db import DataError, IntegrityError

from hosting.backoff import Backoff
from hosting.context import log_fields
from hosting.observability import linetable
from hosting.scope import Scope
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: Seconds for which lines are gathered, so that those of a moment are written together.
PAUSE = 0.5

#: The most lines that wait in memory; what comes while there are so many is not kept.
MOST = 10_000

#: The most lines that one statement writes.
BATCH = 500

#: Seconds that `flush` waits.
PATIENCE = 2.0

#: Seconds that the database may take; then its connection is hung up, as its end may be gone.
LIMIT = 30.0

#: Seconds between two looks at which lines are too old.
SWEEP = 600.0

BACKOFF = Backoff(initial=1.0, maximum=60.0)

#: What is raised because of a line itself, not because the database is in trouble.
REFUSALS = (DataError, IntegrityError, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as the table has it."""

    service: str
    job_id: UUID | None
    attempt: int | None
    process: str
    made_at: datetime
    level: int
    logger: str
    text: str


class LineWriter:
    """Takes lines from any thread; keeps the last `per_service` of a service, and all for `days`.

    Lines that a process has not written when it is killed are lost: those of the last half second.
    """

    def __init__(self, per_service: int, days: int) -> None:
        self._per_service = per_service
        self._days = days
        self._begin()

    def _begin(self) -> None:
        """Begin with nothing, also in a forked process, whose parent writes what it has."""
        self._lines: deque[Line] = deque()
        self._left_out = 0
        self._thread: ServiceThread | None = None
        self._is_closed = False
        self._changing = threading.Condition()
        self._is_writing = False
        self._is_hurried = False
        self._failures = 0  # in a row
        self._is_refusal_told = False
        self._is_tidying_told = False
        self._since_pruned: Counter[str] = Counter()
        self._next_sweep = 0.0
        self._pid = os.getpid()  # last, for whoever asks meanwhile

    def _flush_at_end_of_child(self) -> None:
        # A process that `multiprocessing` has forked ends without `atexit`, and so without
        # `logging.shutdown`.
        if (processes := sys.modules.get("multiprocessing.util")) is not None:
            processes.Finalize(None, self.flush, exitpriority=0)

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that writes; what it logs itself is not kept."""
        return self._thread is threading.current_thread()

    def add(self, line: Line) -> None:
        """Have the line written soon."""
        if self._pid != os.getpid():
            self._begin()
            self._flush_at_end_of_child()
        with self._changing:
            if self._is_closed:
                return
            if len(self._lines) >= MOST:
                self._left_out += 1
                return
            self._lines.append(line)
            if self._thread is None:
                # No thread is to be had while the interpreter ends, or where there are too many.
                with suppress(RuntimeError):
                    # It works on nothing, whatever whoever has logged first works on.
                    self._thread = Context().run(ServiceThread, "hosting:lines", self._run)
            if len(self._lines) in (1, BATCH):  # which is all that the thread waits for
                self._changing.notify_all()

    def flush(self) -> None:
        """Wait until every line is written, or one more attempt has failed, or for a moment."""
        if self._pid != os.getpid() or self.is_here:
            return
        with self._changing:
            if self._thread is None or not (self._lines or self._is_writing):
                return
            self._is_hurried = True
            self._changing.notify_all()
            self._changing.wait_for(lambda: not self._is_hurried, PATIENCE)

    def close(self) -> None:
        """Take no more lines, and give the thread a moment to leave the database."""
        if self._pid != os.getpid():
            return
        with self._changing:
            self._is_closed = True
            self._changing.notify_all()
            thread = self._thread
        if thread is not None and not self.is_here:
            thread.part()

    def _run(self) -> None:
        while lines := self._gather():
            self._try(lines)
            with self._changing:
                self._is_writing = False
                if self._failures or not self._lines:
                    self._is_hurried = False
                self._changing.notify_all()

    def _gather(self) -> list[Line]:
        """Wait until there is something to write, and a moment more; nothing at the end."""
        with self._changing:
            self._changing.wait_for(lambda: self._lines or self._is_closed)
            pause = BACKOFF.delay(self._failures) if self._failures else PAUSE
            self._changing.wait_for(lambda: self._is_closed or self._may_hurry, pause)
            self._is_writing = not self._is_closed
            return [] if self._is_closed else list(islice(self._lines, BATCH))

    @property
    def _may_hurry(self) -> bool:
        return self._is_hurried or (not self._failures and len(self._lines) >= BATCH)

    def _try(self, lines: list[Line]) -> None:
        try:
            apps.check_models_ready()
            with Scope(), linetable.within(LIMIT):
                self._write(lines)
        except Exception as error:  # whatever it is, nobody who logs should hear of it
            self._failures += 1
            if self._failures == 1 and not isinstance(error, AppRegistryNotReady):
                _warn("Log lines of jobs and services cannot be written: %s", error)
            return
        self._failures = 0
        self._tidy()
        with self._changing:
            left_out, self._left_out = self._left_out, 0
        if left_out:
            words = "%d log lines of jobs and services were not kept, as %d waited to be written"
            _warn(words, left_out, MOST)

    def _write(self, lines: list[Line]) -> None:
        """Write these, the first of those that wait, and let them go one way or the other.

        What the database refuses to hold is found by halves, so that one such line neither takes
        others along nor is tried for ever.
        """
        try:
            linetable.add(map(asdict, lines))
        except REFUSALS as error:
            if half := len(lines) // 2:
                self._write(lines[:half])
                self._write(lines[half:])
                return
            if not self._is_refusal_told:
                self._is_refusal_told = True
                _warn("The database does not take a log line of a job or a service: %s", error)
        self._since_pruned.update(line.service for line in lines if line.job_id is None)
        with self._changing:
            for _ in lines:
                self._lines.popleft()

    def _tidy(self) -> None:
        """Remove what is too much and too old; what is written stays so if that fails."""
        try:
            with Scope(), linetable.within(LIMIT):
                self._prune()
        except Exception as error:
            if not self._is_tidying_told:
                self._is_tidying_told = True
                _warn("Old log lines of jobs and services cannot be removed: %s", error)
        else:
            self._is_tidying_told = False

    def _prune(self) -> None:
        for service, count in list(self._since_pruned.items()):
            if count >= max(10, self._per_service // 10):
                del self._since_pruned[service]  # before, so that a failure is not repeated at once
                linetable.leave_last(service, self._per_service)
        if (now := time.monotonic()) >= self._next_sweep:
            self._next_sweep = now + SWEEP
            linetable.leave_days(self._days)


def _warn(words: str, *args: object) -> None:
    logger.warning(words, *args, extra=log_fields())
