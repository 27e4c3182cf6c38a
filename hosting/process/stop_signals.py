"""SIGTERM and SIGINT for a process that is a host: the first asks to stop, the second ends it.

A signal handler may interrupt the main thread while it holds any lock, so it takes none: it hands
the signal to a thread through a `SimpleQueue`, whose `put` is reentrant.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """While its `with` block runs in the main thread, stop signals are this object's.

    The first one calls `stop` (on a thread of its own), the next ends the process at once with
    128 + its number, the shells' convention. Handlers that were there before are put back.
    """

    def __init__(
        self, stop: Callable[[], object], signals: tuple[signal.Signals, ...] = STOP_SIGNALS
    ) -> None:
        self._stop = stop
        self._signals = signals
        self._received: SimpleQueue[bool] = SimpleQueue()
        self._count = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        threading.Thread(target=self._relay, name="hosting:signals", daemon=True).start()
        for number in self._signals:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._received.put(False)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            os.write(2, b"hosting: second signal, ending at once\n")
            os._exit(128 + number)
        self._received.put(True)

    def _relay(self) -> None:
        if self._received.get():
            self._stop()
