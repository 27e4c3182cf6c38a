"""Waiting for a fact that no event announces, because it is another process's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: How often a fact is looked at (seconds); this is the error of every end that is measured.
INTERVAL = 0.002

_never = threading.Event()


def pause(seconds: float) -> None:
    """Wait for a time that is part of the measurement."""
    _never.wait(seconds)


def reached(fact: Callable[[], object], seconds: float) -> bool:
    """Whether the fact came true within these seconds."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        _never.wait(INTERVAL)
    return True


def wait_until(fact: Callable[[], object], what: str, seconds: float) -> None:
    """Raises TimeoutError, which names the fact, if it does not come true."""
    if not reached(fact, seconds):
        raise TimeoutError(f"not within {seconds} s: {what}")
