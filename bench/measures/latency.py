"""Milliseconds from the call that enqueues a job to the job's start in another, idle process.

One job at a time, with a random wait after each has run, so that the worker is idle again and the
moments fall anywhere between two polls. Both ends read the same monotonic clock.
"""

from __future__ import annotations

import random
import time

from bench import work
from bench.order import CannotBeMeasured, Numbers, Order
from bench.percentiles import percentile
from bench.waiting import pause, reached, wait_until
from bench.workers import running

WARM_UP = 3
#: Seconds of rest between two jobs, at least and at most.
REST = (0.1, 0.4)
#: Seconds that a job may take to start.
PATIENCE = 60


def latency(order: Order) -> Numbers:
    stamps = order.place.path("stamps")
    seen = stamps.read_bytes().count(b"\n")
    deadline = time.monotonic() + order.limit
    with running(order.subject.command(), order.place.path("log")) as [worker]:
        for _ in range(WARM_UP + order.samples):
            order.subject.enqueue_one(work.STAMP, time.monotonic_ns())
            seen += 1
            # mypy knows no type of a default.
            if not reached(lambda goal=seen: stamps.read_bytes().count(b"\n") >= goal, PATIENCE):  # type: ignore[misc]
                worker.require_alive()
                wait_until(lambda: False, "a job starts", 0)
            if time.monotonic() > deadline:
                break
            pause(random.uniform(*REST))
    taken = sorted(int(line) / 1e6 for line in stamps.read_text().split()[WARM_UP:])
    if not taken:
        raise CannotBeMeasured("no job was started within the limit")
    return {
        "p50_ms": percentile(taken, 50),
        "p99_ms": percentile(taken, 99),
        "samples": len(taken),
    }
