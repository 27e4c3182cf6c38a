"""Tells the workers of this process that a job was enqueued, so that they need not poll for it.

Its schedulers are told in the same way that a schedule was changed.

Task backends are made anew in every thread, so the list of who waits is the module's. Workers of
other processes find the job at their next poll.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hosting import forks

_lock = forks.lock()
_callbacks: defaultdict[str, list[Callable[[], object]]] = defaultdict(list)


@contextmanager
def subscribed(alias: str, callback: Callable[[], object]) -> Iterator[None]:
    """Have the callback called, on any thread, when jobs of this database may have become due."""
    with _lock:
        _callbacks[alias].append(callback)
    try:
        yield
    finally:
        with _lock:
            _callbacks[alias].remove(callback)


def schedules_of(alias: str) -> str:
    """What schedulers subscribe to instead of the alias: changes of the schedules of a database."""
    return f"the schedules of {alias}"


def wake(alias: str) -> None:
    """Call every callback that is subscribed to this database."""
    with _lock:
        callbacks = list(_callbacks[alias])
    for callback in callbacks:
        callback()
