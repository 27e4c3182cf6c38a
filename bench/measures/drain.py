"""Jobs per second of worker processes that find all jobs waiting.

All jobs are enqueued first, then the workers are started. The clock starts when every worker
process has started its first job, and jobs that were started before that do not count: starting a
process is not measured. It stops when all jobs were started and the subject has none left that is
unsettled, which is asked of it only from then on. A drain that takes longer than the limit is
judged by the jobs that it has started until then. The same for every subject. With very few jobs,
as in a quick run, the claim before the first job, which is not in the time, flatters whoever claims
many at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench import work
from bench.measures import orm
from bench.order import CannotBeMeasured, Numbers, Order
from bench.waiting import reached, wait_until
from bench.workers import Worker, running

#: Seconds that a worker may take to start its first job.
STARTUP = 60


def one_process(order: Order) -> Numbers:
    return _filled_and_drained(order, work.NOOP, 1)


def two_processes(order: Order) -> Numbers:
    return _filled_and_drained(order, work.NOOP, 2)


def inserting(order: Order) -> Numbers:
    """Jobs that insert a row by the ORM."""
    if order.peer == "orm":
        return orm.alone(order)
    return _filled_and_drained(order, work.INSERT, 1)


def inserting_atomically(order: Order) -> Numbers:
    """The same as `atomic=True`: the row and the job's end commit together."""
    return _filled_and_drained(order, work.INSERT_ATOMIC, 1)


def drain(order: Order, jobs: int, processes: int, settled: Callable[[], bool]) -> Numbers:
    """Start workers and measure until so many jobs were started and `settled` says yes."""
    before = work.tally.started
    new = work.tally.processes + processes
    with running(order.subject.command(), order.place.path("log"), processes) as workers:
        _await_first_jobs(workers, new, before + jobs)
        began, early = work.tally.beginning(new)
        left = order.limit - (time.monotonic() - began)
        if not reached(lambda: work.tally.started >= before + jobs, left):
            done = work.tally.started - early
        else:
            done = before + jobs - early
            wait_until(settled, "all jobs are settled", STARTUP)
        return {"jobs_per_second": done / (time.monotonic() - began), "jobs": done}


def _filled_and_drained(order: Order, job: str, processes: int) -> Numbers:
    order.require(job)
    order.subject.enqueue(job, [()] * order.jobs)
    return drain(order, order.jobs, processes, lambda: order.subject.unsettled() == 0)


def _await_first_jobs(workers: list[Worker], processes: int, jobs: int) -> None:
    def at_work() -> bool:
        for worker in workers:
            worker.require_alive()
        if work.tally.processes < processes and work.tally.started >= jobs:
            raise CannotBeMeasured("the jobs were done before every process had one")
        return work.tally.processes >= processes

    wait_until(at_work, "the workers start their first jobs", STARTUP)
