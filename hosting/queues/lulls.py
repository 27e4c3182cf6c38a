"""When a job is enqueued by itself, and not as one of many.

A job that follows another closely finds the workers awake, or waking. One that comes after a lull
finds them at rest: then it is worth asking the database for one that may begin it at once.
"""

from __future__ import annotations

import time

from hosting.queues.wakeup import is_anybody_subscribed

#: Seconds without a job, as far as this process enqueues any, after which one comes by itself.
LULL = 0.02

_latest: dict[str, float] = {}


def ends_lull(alias: str) -> bool:
    """Note that a job is enqueued in this database; whether it should be delivered to a worker.

    Workers of this process need no delivery: they are woken, and nearer than any other.
    """
    now = time.monotonic()
    before = _latest.get(alias)
    _latest[alias] = now
    return (before is None or now - before >= LULL) and not is_anybody_subscribed(alias)
