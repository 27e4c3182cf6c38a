"""Does a drain stay as fast with many jobs waiting, and when dead rows cannot be removed?

`small` drains all of 10,000 jobs; `large` drains the first of many, as many as are to be drained,
and leaves the rest. `under_a_snapshot` holds a transaction open that keeps the database from
removing any row version made since. For the given seconds a worker executes jobs, of which there
are always some thousands waiting; then the backlog is brought to 10,000 and drained as in `small`.
Whether that is done is asked of the last jobs by their ids, as seeing that no job is left takes the
database longer, then, than the jobs do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from bench import work
from bench.measures.drain import STARTUP, drain
from bench.order import CannotBeMeasured, Numbers, Order
from bench.place import POSTGRESQL
from bench.waiting import pause, wait_until
from bench.workers import running

SMALL = 10_000
_CHUNK = 10_000


def small(order: Order) -> Numbers:
    _fill(order, SMALL)
    return drain(order, SMALL, 1, lambda: order.subject.unsettled() == 0)


def large(order: Order) -> Numbers:
    _fill(order, order.waiting)
    return drain(order, min(order.jobs, order.waiting), 1, lambda: True)


def under_a_snapshot(order: Order) -> Numbers:
    if order.place.database != POSTGRESQL:
        raise CannotBeMeasured("only PostgreSQL keeps row versions for a snapshot")
    with _snapshot(order.place.dsn):
        added = _churn(order)
        missing = SMALL - (added - work.tally.started)
        _fill(order, missing)
        numbers = drain(order, SMALL, 1, order.subject.has_settled_last)
        wait_until(lambda: order.subject.unsettled() == 0, "all jobs are settled", STARTUP)
        return numbers


@contextmanager
def _snapshot(dsn: str) -> Iterator[None]:
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT count(*) FROM pg_class")
        yield


def _churn(order: Order) -> int:
    """Keep a worker busy; returns how many jobs were enqueued."""
    added = 0
    deadline = time.monotonic() + order.snapshot_seconds
    with running(order.subject.command(), order.place.path("log")) as [worker]:
        while time.monotonic() < deadline:
            worker.require_alive()
            if added - work.tally.started < SMALL // 2:
                _fill(order, SMALL // 2)
                added += SMALL // 2
            else:
                pause(0.01)
    return added


def _fill(order: Order, jobs: int) -> None:
    for first in range(0, jobs, _CHUNK):
        order.subject.enqueue(work.NOOP, [()] * min(_CHUNK, jobs - first))
