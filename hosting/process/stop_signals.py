"""SIGTERM and SIGINT for a process that is a host: the first asks to stop, the second ends it.

Python runs signal handlers in the main thread, which may hold any lock at that moment, and which
may sleep through the signal: one that comes while the process is suspended, or just after another,
is delivered to any thread. So the handlers do nothing here. The signals arrive through a pipe, to
which Python writes them from whatever thread they hit (`signal.set_wakeup_fd`), on a thread that
waits for nothing else.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: Called before a second signal ends the process, for what it must not leave behind.
before_abrupt_end: list[Callable[[], object]] = []


class StopSignals:
    """While its `with` block runs in the main thread, stop signals are this object's.

    The first one calls `stop` (on a thread of its own), the next ends the process at once with
    128 + its number, the shells' convention. `others` are calls, which must not wait, for other
    signals. What was there before is put back.
    """

    #: The object whose the signals are now.
    current: StopSignals | None = None

    def __init__(
        self,
        stop: Callable[[], object],
        others: Mapping[int, Callable[[], object]] | None = None,
    ) -> None:
        self._stop = stop
        self._others = others or {}

    def __enter__(self) -> StopSignals:
        arriving, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        threading.Thread(
            target=self._relay, args=(arriving,), name="hosting:signals", daemon=True
        ).start()
        self._previous_pipe = signal.set_wakeup_fd(self._pipe, warn_on_full_buffer=False)
        self._previous: dict[int, Any] = {
            number: signal.signal(number, _do_nothing) for number in (*STOP_SIGNALS, *self._others)
        }
        StopSignals.current = self
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.put_back()

    def put_back(self) -> None:
        """Give the signals back to whom they were before."""
        StopSignals.current = None
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_pipe)
        os.close(self._pipe)

    def _relay(self, arriving: int) -> None:
        count = 0
        while received := os.read(arriving, 1):
            number = received[0]
            if number in self._others:
                self._others[number]()
            if number not in STOP_SIGNALS:
                continue
            count += 1
            if count > 1:
                _end_at_once(number)
            threading.Thread(target=self._stop, name="hosting:stop", daemon=True).start()
        os.close(arriving)


def _end_at_once(number: int) -> None:
    os.write(2, b"hosting: second signal, ending at once\n")
    for callback in before_abrupt_end:
        callback()
    os._exit(128 + number)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """A handler that is there so that Python notices the signal."""


def _put_back_in_child() -> None:
    # A forked process shares the pipe: a signal to it must not stop its parent's host.
    if StopSignals.current is not None:
        StopSignals.current.put_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_put_back_in_child)
