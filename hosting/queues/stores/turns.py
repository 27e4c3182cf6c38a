"""The threads of one process take turns at writing to a database that has one writer at a time.

SQLite has whoever finds the database locked look again after ever longer pauses, so that several
threads with short transactions spend most of their time asleep. Here they wait for each other, and
who is next begins at once. It is a courtesy and no lock: after a moment a thread goes on without
its turn, as the one that has it may be stuck, and SQLite's own lock decides.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from hosting import forks

#: Seconds after which a thread waits no longer for its turn.
MOMENT = 0.1

_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

# A turn that another thread had when the process forked would never end in the child.
forks.in_child(_turns.clear)


@contextmanager
def turn(alias: str) -> Iterator[None]:
    """Wait for the turn to write to the database with this alias, and have it in the block."""
    lock = _turns[alias]
    is_mine = lock.acquire(timeout=MOMENT)
    try:
        yield
    finally:
        if is_mine:
            lock.release()
