"""Rows per second that the ORM inserts with no queue around it.

One process, one thread, a transaction for a hundred rows, as short atomic jobs share one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import transaction

from bench.order import Numbers, Order

TOGETHER = 100


def alone(order: Order) -> Numbers:
    from bench.project import models  # here, as Django is set up by now

    _insert(models.insert, TOGETHER)  # connects
    began, done = time.monotonic(), 0
    while done < order.jobs and time.monotonic() - began < order.limit:
        _insert(models.insert, TOGETHER)
        done += TOGETHER
    return {"jobs_per_second": done / (time.monotonic() - began), "jobs": done}


def _insert(insert: Callable[[], None], count: int) -> None:
    with transaction.atomic():
        for _ in range(count):
            insert()
