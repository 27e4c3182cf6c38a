"""Rows per second that the ORM inserts with no queue around it.

One process, a transaction for a hundred rows, as short atomic jobs share one: first on one thread,
then on several, as many as threads of one interpreter have something of.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from django.db import connection, connections, transaction

from bench.order import Numbers, Order

TOGETHER = 100

THREADS = 3

#: Seconds that connecting may take.
PATIENCE = 60


def alone(order: Order) -> Numbers:
    return {
        "jobs_per_second": _rate(order, 1),
        "threads_jobs_per_second": _rate(order, THREADS),
    }


def _rate(order: Order, threads: int) -> float:
    """Rows per second by so many threads, from when each has a connection of its own."""
    jobs, ready = order.jobs // threads, threading.Barrier(threads + 1, timeout=PATIENCE)
    with ThreadPoolExecutor(threads) as pool:
        shares = [pool.submit(_insert_many, jobs, order.limit, ready) for _ in range(threads)]
        ready.wait()
        began = time.monotonic()
        done = sum(share.result() for share in shares)
    return done / (time.monotonic() - began)


def _insert_many(jobs: int, limit: float, ready: threading.Barrier) -> int:
    """How many of so many rows were inserted within the limit (seconds)."""
    try:
        connection.ensure_connection()
        ready.wait()
        until, done = time.monotonic() + limit, 0
        while done < jobs and time.monotonic() < until:
            _insert_together()
            done += TOGETHER
        return done
    finally:
        connections.close_all()


def _insert_together() -> None:
    from bench.project import models  # here, as Django is set up by now

    with transaction.atomic():
        for _ in range(TOGETHER):
            models.insert()
