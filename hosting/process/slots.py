"""The places of a supervisor's worker processes, and what follows from the end of one.

    WAITING -> STARTING -> UP -> ASKED -> OVER
       ^          |        |       |
       +----------+--------+-------+   another takes its place

A process that ends unasked and says that it has failed, or is killed, is followed by another after
a backoff, unless there were too many of them (the restart intensity of the settings); one that asks
to be replaced, and one that was asked to make way for another, at once; one that ends well because
it wanted to, by none. One that asks to be replaced when it is hardly up is followed by another
after a backoff as well: whatever was too much for it will be so for the next.

The process that takes over in a rolling restart runs what may be another version of the project.
Until it is up it is a replacement; one that fails is missed (`missed`), and does not count as a
failure as long as the supervisor spares the slot because others are up.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from hosting.backoff import Backoff, Intensity
from hosting.conf import HostingSettings
from hosting.process import exits

logger = logging.getLogger(__name__)

#: Seconds after SHUTDOWN_TIMEOUT that a process that was asked to stop has, before it is killed: a
#: host keeps to its bound, but what hangs while it loads the project does not.
MERCY = 15.0

#: Seconds that a process is up before another takes its place at once because it asks for that.
HARDLY_UP = 5.0

#: How a process ends well that was asked to stop. By a signal dies only one that hosts nothing yet.
_WELL = (exits.CLEAN, exits.RECYCLE, -signal.SIGTERM, -signal.SIGINT)


class Line(Protocol):
    """What a slot asks of a lifeline."""

    may_speak: bool

    def fileno(self) -> int: ...
    def hears_up(self) -> bool: ...
    def let_go(self) -> None: ...


class WorkerProcess(Protocol):
    """What a slot asks of its process."""

    @property
    def pid(self) -> int: ...
    @property
    def line(self) -> Line: ...
    def ended(self) -> int | None: ...
    def kill(self) -> None: ...


class State(Enum):
    """Where a slot is; times are in seconds of the supervisor's clock."""

    WAITING = "no process, until it is due"
    STARTING = "a process that is not up yet"
    UP = "a process that hosts"
    ASKED = "a process that was asked to stop, and is killed when that is due"
    OVER = "no process, and none to come"


class Slot:
    """The place of one worker process at a time; `start` starts one, for the number of a slot."""

    def __init__(
        self,
        number: int,
        start: Callable[[int], WorkerProcess],
        settings: HostingSettings,
        backoff: Backoff | None = None,
    ) -> None:
        self.number = number
        self.state = State.WAITING
        self.due: float | None = 0.0
        self.child: WorkerProcess | None = None
        self.has_failed = False  # its last process was asked to stop and did not end well
        self.failure: str | None = None  # why no other is started
        self.is_replacement = False  # its process is to take over in a rolling restart, and not up
        self.missed: str | None = None  # what has become of such a process, for who asks first
        self.is_spared = False  # whether what fails now does not count
        self._start = start
        self._settings = settings
        self._backoff = backoff or Backoff()
        self._intensity = Intensity(settings.max_restarts, settings.restart_period)
        self._is_to_be_replaced = False
        self._up_since: float | None = None
        self._vain = 0  # processes in a row that were hardly up, and did not count as failures

    def tend(self, now: float) -> None:
        """Notice what has happened to the process, and do what is due."""
        if self.child is not None:
            self._look_after(self.child, now)
        if self.state is State.WAITING and self.due is not None and now >= self.due:
            self._begin(now)

    def ask(self, now: float, *, replace: bool = False) -> None:
        """Have the process stop, if there is one, and perhaps another take its place."""
        self._is_to_be_replaced = replace
        if self.child is None:
            if not replace:
                self._enter(State.OVER)
            elif self.state is State.WAITING:
                self.is_replacement, self.due = True, now
        elif self.state is not State.ASKED:
            self._enter(State.ASKED, now + self._settings.shutdown_timeout + MERCY)
            self.child.line.let_go()

    def _enter(self, state: State, due: float | None = None) -> None:
        self.state, self.due = state, due
        if state in (State.UP, State.OVER):
            self.is_replacement = False

    def _begin(self, now: float) -> None:
        try:
            self.child = self._start(self.number)
        except OSError as error:
            self._failed(f"Worker {self.number} cannot be started: {error}", now)
        else:
            self._up_since = None
            self._enter(State.STARTING)

    def _look_after(self, child: WorkerProcess, now: float) -> None:
        if (code := child.ended()) is not None:
            self.child = None
            self._judge(code, f"Worker {self.number} (process {child.pid})", now)
        elif self.state is State.STARTING and child.line.hears_up():
            self._up_since = now
            self._enter(State.UP)
            logger.info("Worker %d is up: process %d", self.number, child.pid)
        elif self.state is State.ASKED and self.due is not None and now >= self.due:
            logger.error(
                "Worker %d (process %d) was asked to stop and does not: it is killed",
                self.number,
                child.pid,
            )
            child.kill()
            self.due = None

    def _judge(self, code: int, who: str, now: float) -> None:
        if self._was_up_for_long(now):
            self._vain = 0
        if self.state is State.ASKED:
            self._judge_asked(code, who, now)
        elif code == exits.RECYCLE:
            self._judge_recycled(who, now)
        elif code == exits.CLEAN:
            logger.info("%s has ended by itself, and no other is started", who)
            self._enter(State.OVER)
        else:
            self._failed(f"{who} {exits.in_words(code)}", now)

    def _was_up_for_long(self, now: float) -> bool:
        return self._up_since is not None and now - self._up_since >= HARDLY_UP

    def _judge_recycled(self, who: str, now: float) -> None:
        if self._was_up_for_long(now):
            logger.info("%s asks to be replaced", who)
            self._enter(State.WAITING, now)
        else:
            self._begin_later(f"{who} asks to be replaced, and was hardly up", self._in_vain(), now)

    def _judge_asked(self, code: int, who: str, now: float) -> None:
        ended_well = code in _WELL
        if not ended_well:
            logger.error("%s was asked to stop, and %s", who, exits.in_words(code))
        if self._is_to_be_replaced:
            self.is_replacement = True
            self._enter(State.WAITING, now)
        else:
            self._enter(State.OVER)
            self.has_failed = not ended_well

    def _failed(self, what: str, now: float) -> None:
        if self.is_replacement:
            self.missed = what
        if self.is_spared:
            self._begin_later(what, self._in_vain(), now)
            return
        failures = self._intensity.record(now)
        if not self._intensity.allows(failures):
            self.failure = (
                f"{what}, failure {failures} within {self._settings.restart_period:g} s, "
                f"MAX_RESTARTS is {self._settings.max_restarts}"
            )
            self._enter(State.OVER)
            return
        self._begin_later(what, self._backoff.delay(failures), now)

    def _in_vain(self) -> float:
        """Count one more such process; gives the seconds until another is started."""
        self._vain += 1
        return self._backoff.delay(self._vain)

    def _begin_later(self, what: str, pause: float, now: float) -> None:
        logger.warning("%s; another is started in %.2f s", what, pause)
        self._enter(State.WAITING, now + pause)
