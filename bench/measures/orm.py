"""Rows per second that the ORM inserts with no queue around it.

One process, a transaction for a hundred rows, as short atomic jobs share one: first on one thread,
then on several, as many as threads of one interpreter have something of.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connections, transaction

from bench.order import Numbers, Order

TOGETHER = 100

THREADS = 3


def alone(order: Order) -> Numbers:
    one = _rate(order, 1)
    return {"jobs_per_second": one, "threads_jobs_per_second": _rate(order, THREADS)}


def _rate(order: Order, threads: int) -> float:
    """Rows per second by so many threads, each with a connection of its own."""
    until = time.monotonic() + order.limit
    with ThreadPoolExecutor(threads) as pool:
        began = time.monotonic()
        shares = [pool.submit(_insert_many, order.jobs // threads, until) for _ in range(threads)]
        done = sum(share.result() for share in shares)
    return done / (time.monotonic() - began)


def _insert_many(jobs: int, until: float) -> int:
    """How many of so many rows were inserted in time."""
    from bench.project import models  # here, as Django is set up by now

    done = 0
    try:
        while done < jobs and time.monotonic() < until:
            _insert(models.insert, TOGETHER)
            done += TOGETHER
    finally:
        connections.close_all()
    return done


def _insert(insert: Callable[[], None], count: int) -> None:
    with transaction.atomic():
        for _ in range(count):
            insert()
