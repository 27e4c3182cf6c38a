"""Jobs per second that are enqueued, while no worker runs.

One by one, each is committed before the next; the floor is the INSERT of an equal row into the
same table by psycopg alone. How the two compare (`raw_ratio`) is measured by turns in one process,
as a disk that commits wait for is now quick and now slow. `enqueue_many` gets all calls at once.
All with some calls before the clock starts, so that connections are there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import hosting
from bench import work
from bench.goals import OURS
from bench.order import CannotBeMeasured, Numbers, Order
from bench.peers.base import Subject
from bench.place import POSTGRESQL

WARM_UP = 50

#: Calls of one turn.
TURN = 100


def one_by_one(order: Order) -> Numbers:
    if order.peer == "floor":
        return _timed(_raw_insert(_ours()), order.jobs)

    def enqueue() -> None:
        order.subject.enqueue_one(work.NOOP)

    if order.peer == OURS and order.place.database == POSTGRESQL:
        return _by_turns(enqueue, _raw_insert(order.subject), order.jobs)
    return _timed(enqueue, order.jobs)


def many(order: Order) -> Numbers:
    if not hasattr(hosting, "enqueue_many"):
        raise CannotBeMeasured("hosting.enqueue_many is not there")
    order.subject.enqueue(work.NOOP, [()] * WARM_UP)
    calls: list[tuple[()]] = [()] * order.jobs
    began = time.perf_counter()
    order.subject.enqueue(work.NOOP, calls)
    return {"jobs_per_second": order.jobs / (time.perf_counter() - began)}


def _timed(enqueue: Callable[[], None], jobs: int) -> Numbers:
    _seconds(enqueue, WARM_UP)
    return {"jobs_per_second": jobs / _seconds(enqueue, jobs)}


def _by_turns(enqueue: Callable[[], None], insert: Callable[[], None], jobs: int) -> Numbers:
    ours = raw = 0.0
    for each in (enqueue, insert):
        _seconds(each, WARM_UP)
    for _ in range(0, jobs, TURN):
        ours += _seconds(enqueue, TURN)
        raw += _seconds(insert, TURN)
    return {"jobs_per_second": jobs / ours, "raw_ratio": raw / ours}


def _seconds(call: Callable[[], None], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - began


def _raw_insert(subject: Subject) -> Callable[[], None]:
    from bench.peers import ours  # here, as it sets up Django on import

    return ours.RawInsert(subject).insert


def _ours() -> Subject:
    from bench.peers import ours  # as above

    made = ours.Peer()
    made.install()
    return made
