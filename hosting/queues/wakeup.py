"""Tells the workers of this process that a job was enqueued, so that they need not poll for it.

Its schedulers are told in the same way that a schedule was changed.

Task backends are made anew in every thread, so the list of who waits is the module's. Workers of
other processes are told by the database, where it can, or find the job at their next poll.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

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


def is_anybody_subscribed(alias: str) -> bool:
    """Whether this process has somebody who would be woken."""
    return bool(_callbacks.get(alias))


def schedules_of(alias: str) -> str:
    """What schedulers subscribe to instead of the alias: changes of the schedules of a database."""
    return f"the schedules of {alias}"


def wake(alias: str) -> None:
    """Call every callback that is subscribed to this database."""
    with _lock:
        callbacks = list(_callbacks[alias])
    for callback in callbacks:
        callback()


class Telling(Protocol):
    """A store, as far as it matters here."""

    @property
    def alias(self) -> str: ...

    def tell(self) -> None: ...


def wake_all(store: Telling) -> None:
    """Wake who is subscribed here, and tell other processes: there are jobs that were there before.

    Raises what the database raises.
    """
    wake(store.alias)
    store.tell()
