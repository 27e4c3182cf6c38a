"""How a web process, which belongs to its server, gets to stop its host before it ends.

Two things tell that such a process is about to end. A signal comes: then the host begins to stop
beside whatever the server does about that signal, as the time that the server has for its own end
runs from then on. Its handler is called as if ours were not there. Where nobody handles SIGTERM,
ours lets it kill the process once the host has stopped.

Or the interpreter exits, with or without a signal: then a callback waits for the host to stop. It
runs before the interpreter takes away the means to start threads, which `atexit` callbacks come
too late for.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  (registers its own exit callback, which must run after ours)
import ctypes
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from hosting.process.stop_signals import STOP_SIGNALS

#: `threading._register_atexit` is private, yet the only hook that runs while threads can still be
#: started; the executors of `concurrent.futures` rest on it as well.
_at_exit: Callable[..., Any] = getattr(threading, "_register_atexit", atexit.register)


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
#: The calls that the main thread is to make; it has no hold of them, and may be slow.
_pending: list[Any] = []

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
    """

    def __init__(
        self,
        stop: Callable[[], object],
        is_over: Callable[[], bool],
        *,
        second_kills: bool,
        goes_first: Callable[[], bool] = lambda: False,
    ) -> None:
        self.second_kills = second_kills
        self.goes_first = goes_first
        self._stop = stop
        self._is_over = is_over
        self._was_stopped = False
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
            elif callable(theirs) and not isinstance(theirs, _OURS):
                signal.signal(number, _Companion(self, theirs))

    def is_over(self) -> bool:
        """Whether this process, which may have been forked since, has nothing left to stop."""
        return self._was_stopped or self._is_over() or os.getpid() != self._pid

    def note(self, number: int, *, comes_again: bool = False) -> None:
        """Have the host stopped, and then the signal sent once more."""
        if os.getpid() != self._pid:
            return  # its parent's pipe
        with suppress(BlockingIOError):  # it is full of signals
            os.write(self._pipe, bytes([number if comes_again else 0]))

    def _relay(self, arriving: int) -> None:
        while received := os.read(arriving, 1):
            try:
                self._stop()
            finally:
                self._was_stopped = True
                if received[0]:
                    os.kill(os.getpid(), received[0])


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
        return None if waits else self._theirs(number, frame)


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
