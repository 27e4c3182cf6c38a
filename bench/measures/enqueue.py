"""Jobs per second that are enqueued, while no worker runs.

One by one, each is committed before the next; the floor is the INSERT of an equal row into the
same table by psycopg alone. `enqueue_many` gets all calls at once. Both with some calls before the
clock starts, so that connections are there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import hosting
from bench import work
from bench.order import CannotBeMeasured, Numbers, Order

WARM_UP = 50


def one_by_one(order: Order) -> Numbers:
    if order.peer == "floor":
        return _timed(_raw_insert(), order.jobs)
    return _timed(lambda: order.subject.enqueue_one(work.NOOP), order.jobs)


def many(order: Order) -> Numbers:
    if not hasattr(hosting, "enqueue_many"):
        raise CannotBeMeasured("hosting.enqueue_many is not there")
    order.subject.enqueue(work.NOOP, [()] * WARM_UP)
    calls: list[tuple[()]] = [()] * order.jobs
    began = time.perf_counter()
    order.subject.enqueue(work.NOOP, calls)
    return {"jobs_per_second": order.jobs / (time.perf_counter() - began)}


def _timed(enqueue: Callable[[], None], jobs: int) -> Numbers:
    for _ in range(WARM_UP):
        enqueue()
    began = time.perf_counter()
    for _ in range(jobs):
        enqueue()
    return {"jobs_per_second": jobs / (time.perf_counter() - began)}


def _raw_insert() -> Callable[[], None]:
    from bench.peers import ours  # here, as it sets up Django on import

    subject = ours.Peer()
    subject.install()
    return ours.RawInsert(subject).insert
