"""Rows per second that the ORM inserts with no queue around it.

One process, a transaction for a hundred rows, as short atomic jobs share one: first on one thread,
then on several, as many as threads of one interpreter have something of.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from django.db import connections, transaction

from bench.order import Numbers, Order

TOGETHER = 100

THREADS = 3


def alone(order: Order) -> Numbers:
    return {
        "jobs_per_second": _rate(order, 1),
        "threads_jobs_per_second": _rate(order, THREADS),
    }


def _rate(order: Order, threads: int) -> float:
    """Rows per second by so many threads, each with a connection of its own."""
    jobs = order.jobs // threads
    with ThreadPoolExecutor(threads) as pool:
        shares = [pool.submit(_insert_many, jobs, order.limit) for _ in range(threads)]
        return sum(share.result() for share in shares)


def _insert_many(jobs: int, limit: float) -> float:
    """Rows per second of one thread, without the time that it takes to connect."""
    try:
        _insert_together()
        began, done = time.monotonic(), 0
        while done < jobs and time.monotonic() - began < limit:
            _insert_together()
            done += TOGETHER
        return done / (time.monotonic() - began)
    finally:
        connections.close_all()


def _insert_together() -> None:
    from bench.project import models  # here, as Django is set up by now

    with transaction.atomic():
        for _ in range(TOGETHER):
            models.insert()
