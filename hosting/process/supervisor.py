"""The supervisor: several worker processes, each the same command line without `--processes`.

It hosts nothing. Its main thread is the only one that acts: it waits until a signal rings the bell,
a child says on its lifeline that it is up, or something is due; then it tends every slot (`slots`).

Children are asked to stop by their lifeline alone, and each has a session of its own. So a signal
that a terminal sends to the foreground's process group, or a person to the group of the supervisor,
reaches the supervisor only, and one Ctrl-C is one wish; what a process manager sends to every
process (systemd) is the one signal that a child gets. If the supervisor is killed, the lifelines
end with it, and the children stop: no orphan is left.

The first stop signal has all children stop gracefully, the second kills them and ends the
supervisor. SIGHUP has them replaced one after the other, each once the one before is up. The first
that does not come up breaks that off: the rest goes on with what it has loaded, and works, while
that one is tried again and again, which does not count as long as another is up.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from hosting.bell import Bell
from hosting.conf import HostingSettings
from hosting.process import exits
from hosting.process.children import Child
from hosting.process.logs import ensure_logging
from hosting.process.slots import Slot, State
from hosting.process.stop_signals import StopSignals, before_abrupt_end
from hosting.process.systemd import Silence, notifier
from hosting.scope import close_connections

logger = logging.getLogger(__name__)

#: How many processes there may be; more of them are a slip of the finger.
MOST = 256

#: States of a slot in which it has no process that works, or soon will not have.
_IN_BETWEEN = (State.WAITING, State.STARTING, State.ASKED)


def supervise(count: int, arguments: Sequence[str], settings: HostingSettings) -> int:
    """Run so many worker processes with this command line until they end; gives the exit code.

    0 if all ended well: because they were asked to, or each by itself; else 1.
    """
    ensure_logging()
    close_connections()
    slots = [
        Slot(number, lambda slot: Child(arguments, slot), settings)
        for number in range(1, count + 1)
    ]
    return Supervisor(slots, manager=notifier()).run()


class Supervisor:
    """Keeps a process in every slot."""

    def __init__(
        self,
        slots: Sequence[Slot],
        clock: Callable[[], float] = time.monotonic,
        manager: Silence | None = None,
    ) -> None:
        self._slots = slots
        self._clock = clock
        self._manager = manager or Silence()
        self._were_all_up = False
        self._bell = Bell()
        self._stop_asked = threading.Event()
        self._restart_asked = threading.Event()
        self._is_stopping = False
        self._has_given_up = False
        self._to_replace: deque[Slot] = deque()
        self._is_broken_off = False
        self._had_terminal = has_terminal()

    def run(self) -> int:
        """Start a process for every slot, and tend them until all are over."""
        with self._bell, StopSignals(self.stop, self._signals()), self._killing():
            self.tend()
            self._tell()
            while not all(slot.state is State.OVER for slot in self._slots):
                self._wait()
                self.tend()
        logger.info("Stopped supervising worker processes")
        has_failed = self._has_given_up or any(slot.has_failed for slot in self._slots)
        return exits.FAILED if has_failed else exits.CLEAN

    def stop(self) -> None:
        """Ask all children to stop, and start no more; from any thread."""
        self._stop_asked.set()
        self._bell.ring()

    def restart(self) -> None:
        """Have all children replaced, one after the other; from any thread."""
        self._restart_asked.set()
        self._bell.ring()

    def tend(self) -> None:
        """Do what there is to do now."""
        now = self._clock()
        self._hear_hangup(now)
        self._stop_if_asked(now)  # first, as who has ended meanwhile needs no replacement then
        for slot in self._slots:
            slot.is_spared = self._spares(slot)
            slot.tend(now)
        self._break_off_if_missed()
        self._give_up_if_hopeless()
        self._stop_if_asked(now)
        if not self._is_stopping:
            self._replace_next(now)
        self._report()

    def _report(self) -> None:
        """Tell the service manager how many are up, and that this loop goes round."""
        up = sum(slot.state is State.UP for slot in self._slots)
        words = [f"STATUS={up} of {len(self._slots)} workers are up", "WATCHDOG=1"]
        if up == len(self._slots) and not self._were_all_up:
            self._were_all_up = True
            words.insert(0, "READY=1")
        self._manager.tell(*words)

    def _tell(self) -> None:
        pids = [str(slot.child.pid) for slot in self._slots if slot.child]
        what = "process" if len(self._slots) == 1 else "processes"
        logger.info("Supervising %d worker %s: %s", len(self._slots), what, ", ".join(pids))

    def _give_up_if_hopeless(self) -> None:
        for slot in self._slots:
            if slot.failure and not self._has_given_up:
                self._has_given_up = True
                logger.critical("Giving up, all workers are stopped: %s", slot.failure)
                self._stop_asked.set()

    def _spares(self, slot: Slot) -> bool:
        """Whether it may be the new version that is wrong, and others work with the old one."""
        is_new = slot.is_replacement or (self._is_broken_off and slot.state is not State.UP)
        return is_new and any(each.state is State.UP for each in self._slots if each is not slot)

    def _break_off_if_missed(self) -> None:
        for slot in self._slots:
            missed, slot.missed = slot.missed, None
            if missed and not self._is_broken_off and not self._is_stopping:
                self._is_broken_off = True
                self._to_replace.clear()
                logger.error(
                    "The rolling restart is broken off, and those that are up stay as they are, as "
                    "a replacement has not come up: %s",
                    missed,
                )
        if not any(slot.is_replacement for slot in self._slots):
            self._is_broken_off = False

    def _hear_hangup(self, now: float) -> None:
        """Begin to replace all children, unless it was the terminal's end that told us."""
        if not self._restart_asked.is_set():
            return
        self._restart_asked.clear()
        if self._had_terminal and not has_terminal():
            logger.info("The terminal is gone")
            self._stop_asked.set()
        elif not self._is_stopping:
            logger.info("Replacing all worker processes, one after the other")
            self._is_broken_off = False
            for slot in self._slots:
                if slot.state is State.WAITING or slot.is_replacement:
                    slot.ask(now, replace=True)  # it works no less by that
            self._to_replace = deque(
                slot for slot in self._slots if slot.child is not None and not slot.is_replacement
            )

    def _stop_if_asked(self, now: float) -> None:
        if self._is_stopping or not self._stop_asked.is_set():
            return
        self._is_stopping = True
        self._manager.tell("STOPPING=1")
        logger.info("Stopping all worker processes; a second signal ends them at once")
        for slot in self._slots:
            slot.ask(now)

    def _replace_next(self, now: float) -> None:
        while self._to_replace and not any(slot.state in _IN_BETWEEN for slot in self._slots):
            self._to_replace.popleft().ask(now, replace=True)

    def _wait(self) -> None:
        dues = [slot.due for slot in self._slots if slot.due is not None]
        if self._manager.watchdog is not None:
            dues.append(self._clock() + self._manager.watchdog / 2)
        pause = max(0.0, min(dues) - self._clock()) if dues else None
        lines = [slot.child.line for slot in self._slots if slot.child is not None]
        self._bell.wait(pause, [line.fileno() for line in lines if line.may_speak])

    # Signals

    def _signals(self) -> Mapping[int, Callable[[], object]]:
        calls: dict[int, Callable[[], object]] = {signal.SIGCHLD: self._bell.ring}
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` wants it
            calls[signal.SIGHUP] = self.restart
        return calls

    @contextmanager
    def _killing(self) -> Iterator[None]:
        """While the block runs, a second signal kills the children."""
        before_abrupt_end.append(self._kill_all)
        try:
            yield
        finally:
            before_abrupt_end.remove(self._kill_all)

    def _kill_all(self) -> None:
        for slot in self._slots:
            if (child := slot.child) is not None:
                child.kill()


def has_terminal() -> bool:
    """Whether this process has a controlling terminal, whose end comes as a SIGHUP as well."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
