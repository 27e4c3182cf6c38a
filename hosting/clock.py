"""The clock by which a process counts how long something of its own is good for."""

from __future__ import annotations

import time


def elapsed() -> float:
    """Seconds of a clock that goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
