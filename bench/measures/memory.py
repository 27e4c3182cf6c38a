"""Items per second through the in-memory queue: from the first one's enqueue to the last one's run.

The queue has room for all items, as the executor's has; both have one thread. The items are the
same function, which counts.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

from bench.order import Numbers, Order
from hosting import BackgroundTaskQueue, QueuedHostedService
from hosting.testing import started


class _Items:
    """A work item, and the moment when it has run so many times."""

    def __init__(self, total: int) -> None:
        self._last = total - 1
        self._counter = count()
        self.finished = threading.Event()

    def run(self, token: Any) -> None:
        if next(self._counter) == self._last:
            self.finished.set()


def memory(order: Order) -> Numbers:
    seconds = _executor(order.jobs) if order.peer == "executor" else _queue(order.jobs)
    return {"items_per_second": order.jobs / seconds}


def _queue(jobs: int) -> float:
    items, queue = _Items(jobs), BackgroundTaskQueue(capacity=jobs)
    with started(QueuedHostedService(queue=queue)):
        began = time.perf_counter()
        for _ in range(jobs):
            queue.enqueue(items.run)
        items.finished.wait()
        return time.perf_counter() - began


def _executor(jobs: int) -> float:
    items = _Items(jobs)
    with ThreadPoolExecutor(1) as executor:
        began = time.perf_counter()
        for _ in range(jobs):
            executor.submit(items.run, None)
        items.finished.wait()
        return time.perf_counter() - began
