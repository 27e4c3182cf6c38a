"""Locks and state that a forked process does not take over half-dead.

A lock that another thread held at the moment of a fork is never released in the child, where that
thread does not exist. Whoever keeps one for the life of the process makes it here, and says what
else of it has to begin afresh. Python calls this in the child of every fork that it makes itself.
uWSGI forks behind its back: there, whoever notices calls `renew_if_forked`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakSet

_pid = os.getpid()
_locks: WeakSet[threading.Lock] = WeakSet()
_callbacks: list[Callable[[], object]] = []


def lock() -> threading.Lock:
    """A lock that is free in every forked process."""
    made = threading.Lock()
    _locks.add(made)
    return made


def in_child(callback: Callable[[], object]) -> None:
    """Have `callback` called in every forked process, once, in its only thread."""
    _callbacks.append(callback)


def renew_if_forked() -> bool:
    """Free the locks and call the callbacks if the process is another one since; says whether."""
    global _pid
    if _pid == os.getpid():
        return False
    _pid = os.getpid()
    for each in _locks:
        # As the standard library does it in `logging` and `concurrent.futures`.
        each._at_fork_reinit()  # type: ignore[attr-defined]  # private
    for callback in _callbacks:
        callback()
    return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_if_forked)
