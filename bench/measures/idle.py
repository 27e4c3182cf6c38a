"""What a worker costs that has nothing to do: statements, CPU, memory.

It has executed one job and rested, then it is watched. CPU is user and system time of the worker
and its children from /proc, in percent of one core; memory is their resident set. PostgreSQL logs
every statement, and the lines that are not the bench's own are counted. On SQLite a trace counts
the statements of Django's connections, of subjects that use Django's.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from bench import work
from bench.order import Numbers, Order
from bench.place import POSTGRESQL
from bench.waiting import pause, wait_until
from bench.workers import running

#: Seconds between the job and the watch, in which a worker may do what it does after work.
REST = 3.0
STARTUP = 60


def idle(order: Order) -> Numbers:
    order.subject.enqueue_one(work.NOOP)
    statements = statements_of(order)
    with running(order.subject.command(), order.place.path("log")) as [worker]:
        wait_until(lambda: work.tally.started, "a job starts", STARTUP)
        pause(REST)
        before, counted = worker.usage(), statements()
        pause(order.idle_seconds)
        after, counted = worker.usage(), statements() - counted
        worker.require_alive()
    numbers = {
        "cpu_percent": 100 * (after.cpu - before.cpu) / order.idle_seconds,
        "rss_mb": after.rss,
    }
    if order.place.database == POSTGRESQL or order.subject.uses_django:
        numbers["statements_per_second"] = counted / order.idle_seconds
    return numbers


def statements_of(order: Order) -> Callable[[], int]:
    """A function that says how many statements there were so far."""
    if order.place.database != POSTGRESQL:
        path = order.place.path("statements")
        return lambda: path.stat().st_size if path.exists() else 0
    with psycopg.connect(order.place.dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE \"{order.place.name}\" SET log_statement = 'all'")
        directory = connection.execute("SHOW data_directory").fetchone()
    log = f"{directory[0]}/log" if directory else ""

    def count() -> int:
        with open(log, errors="replace") as lines:
            return sum(" LOG:  statement: " in line or " LOG:  execute " in line for line in lines)

    return count
