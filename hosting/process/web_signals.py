"""SIGTERM and SIGINT for a web process, whose signals are its server's.

The host begins to stop at the signal, beside whatever the server does about it, as the time that
the server has for its own end runs from then on. Its handler is called as if ours were not there.
Where nobody handles SIGTERM, ours lets it kill the process once the host has stopped.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from hosting import forks
from hosting.process.stop_signals import STOP_SIGNALS

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
#: The calls that the main thread is to make; it has no hold of them, and may be slow.
_pending: list[Any] = []


def in_main_thread(call: Callable[[], object]) -> None:
    """Make the call now if this is the main thread, else when that next executes any Python.

    Only there can signal handlers be installed, and a request, from which a host may begin, can be
    on any thread. On another Python than CPython the call is not made from one.
    """
    if threading.current_thread() is threading.main_thread():
        call()
    elif hasattr(ctypes, "pythonapi"):

        def called(_: object) -> int:
            call()
            return 0

        _pending.append(_Callback(called))
        ctypes.pythonapi.Py_AddPendingCall(_pending[-1], None)


class StopWithSignals:
    """Calls `stop`, on a thread of its own, when a stop signal comes to this process.

    `is_over` says whether nothing is left to stop; it takes no lock. `second_kills` says whether a
    second SIGTERM that nobody else handles ends the process at once. It would not be a person's
    where the process has a parent, which may repeat itself. `goes_first` says whether the server
    hears of a signal only when the host has stopped, as it would end the process without waiting.
    `hears_once` says whether it hears of one signal only within `SAME_EVENT`, as it would take the
    second for impatience; one Ctrl-C comes from the terminal and from the process's parent.
    """

    def __init__(
        self,
        stop: Callable[[], object],
        is_over: Callable[[], bool],
        *,
        second_kills: bool,
        goes_first: Callable[[], bool] = lambda: False,
        hears_once: bool = False,
    ) -> None:
        self.second_kills = second_kills
        self.goes_first = goes_first
        self._hears_once = hears_once
        self._heard_at = -SAME_EVENT
        self._stop = stop
        self._is_over = is_over
        self._was_stopped = False
        self._stopping = threading.Lock()
        self._pid = os.getpid()
        # Python runs handlers in the main thread, which may hold any lock at that moment. So they
        # only write to this pipe, from which a thread reads that waits for nothing else.
        arriving, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        threading.Thread(
            target=self._relay, args=(arriving,), name="hosting:signals", daemon=True
        ).start()

    def join_handlers(self) -> None:
        """Put ours before the handlers that are there now; not outside the main thread.

        A signal that is ignored, or handled by a program in C around the interpreter, is left
        alone. So is Python's own handler of Ctrl-C, which leads to the interpreter's exit.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number in STOP_SIGNALS:
            theirs = signal.getsignal(number)
            if theirs is signal.default_int_handler:
                continue
            if theirs is signal.SIG_DFL and number == signal.SIGTERM:
                signal.signal(number, _LastWord(self))
                self._hear_beside_the_main_thread()
            elif callable(theirs) and not isinstance(theirs, _OURS):
                signal.signal(number, _Companion(self, theirs))
                if str(getattr(theirs, "__module__", "")).startswith("gunicorn."):
                    # As gunicorn has it, so that SIGTERM disturbs no request that waits in C.
                    signal.siginterrupt(number, number != signal.SIGTERM)

    def is_over(self) -> bool:
        """Whether this process, which may have been forked since, has nothing left to stop."""
        return self._was_stopped or self._is_over() or os.getpid() != self._pid

    def is_heard_already(self) -> bool:
        """Whether the server need not hear of the signal that comes now; asked once for each."""
        before, self._heard_at = self._heard_at, time.monotonic()
        return self._hears_once and self._heard_at - before < SAME_EVENT

    def note(self, number: int, *, comes_again: bool = False) -> None:
        """Have the host stopped, and then the signal sent once more."""
        if os.getpid() != self._pid:
            return  # its parent's pipe
        with suppress(BlockingIOError):  # it is full of signals
            os.write(self._pipe, bytes([AGAIN + number if comes_again else 0]))

    def _hear_beside_the_main_thread(self) -> None:
        """Have Python write signals to the pipe itself, if it writes them nowhere else.

        A main thread that is in C for good, as that of a server in C may be, runs no handler.
        """
        theirs = signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        if theirs != -1:
            signal.set_wakeup_fd(theirs)

    def _relay(self, arriving: int) -> None:
        was_heard = False
        while received := os.read(arriving, 1):
            # From AGAIN on it is from `note`, as 0 is; else a signal, as Python writes it.
            byte = received[0]
            if byte == 0 or byte >= AGAIN:
                self._begin_stop(byte - AGAIN)
            elif byte == signal.SIGTERM:
                is_nobodys = isinstance(signal.getsignal(byte), _LastWord)
                if was_heard and is_nobodys and self.second_kills:
                    end_if_the_main_thread_does_not()
                was_heard = True
                self._begin_stop(byte if is_nobodys else 0, insists=is_nobodys)

    def _stop_once(self) -> None:
        with self._stopping:
            try:
                if not self.is_over():
                    self._stop()
            finally:
                self._was_stopped = True

    def _begin_stop(self, then: int, *, insists: bool = False) -> None:
        """Stop the host on a thread of its own, and then send the signal with this number, if any.

        `insists` says whether the process is to end of that even if it runs no handler.
        """

        def stop() -> None:
            try:
                self._stop_once()
            finally:
                if then > 0:
                    os.kill(os.getpid(), then)
                if insists:
                    end_if_the_main_thread_does_not()

        threading.Thread(target=stop, name="hosting:stop", daemon=True).start()


#: What is added to the number of a signal that is to be sent once more.
AGAIN = 128

#: Seconds within which several signals may be one wish to end.
SAME_EVENT = 1.0

#: Seconds that the main thread has to run the handler of a signal that is to end the process.
REACTION = 1.0


def end_if_the_main_thread_does_not() -> None:
    """End the process as the shell says that SIGTERM ends one, unless that happens by itself."""
    threading.Event().wait(REACTION)
    os._exit(128 + signal.SIGTERM)


class _Companion:
    """A handler that has the host stopped, and calls the handler that was there before.

    Beside the stop, or after it if the host goes first; then a second signal does not wait.
    """

    def __init__(self, signals: StopWithSignals, theirs: Callable[[int, FrameType | None], Any]):
        self._signals = signals
        self._theirs = theirs
        self._received = False

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        again, self._received = self._received, True
        waits = self._signals.goes_first() and not (again or self._signals.is_over())
        self._signals.note(number, comes_again=waits)
        if waits or self._signals.is_heard_already():
            return None
        return self._theirs(number, frame)


class _LastWord:
    """A handler for SIGTERM, which stops the host, and then lets the signal kill the process.

    At once if the host has stopped: a server that raises it once more at its end must not go on.
    """

    def __init__(self, signals: StopWithSignals) -> None:
        self._signals = signals
        self._received = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again, self._received = self._received, True
        if self._signals.is_over() or (again and self._signals.second_kills):
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif not again:
            self._signals.note(number, comes_again=True)


_OURS = (_Companion, _LastWord)


def _give_back_in_child() -> None:
    # A forked process is killed by SIGTERM wherever it is, as it has nothing to stop.
    if isinstance(signal.getsignal(signal.SIGTERM), _LastWord):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)


forks.in_child(_give_back_in_child)
