"""Background work in memory: a bounded queue, and the service that drains it.

The queue is not durable: what is in it when the process dies is gone, and what is left at the end
of a graceful stop is counted and reported. Work that must not be lost belongs in the database (see
`hosting.TaskWorker`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.utils.module_loading import import_string

from hosting.cancellation import CancellationToken
from hosting.exceptions import OperationCancelled, QueueFull
from hosting.scope import in_scope
from hosting.services import BackgroundService
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: A callable, plain or coroutine function, that takes the token which tells it to end.
WorkItem = Callable[[CancellationToken], Any]

#: Share of the time for stopping that items get to finish in before they are told to end.
DRAIN_SHARE = 0.8


def _judge_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}, allowed: a whole number, 1 or more")


class BackgroundTaskQueue:
    """A first-in, first-out queue of work items; once it holds `capacity` of them, adding waits."""

    def __init__(self, capacity: int = 100) -> None:
        _judge_number("capacity", capacity)
        self.capacity = capacity
        self._items: deque[WorkItem] = deque()
        self._lock = threading.Lock()
        self._waiting: set[CancellationToken] = set()  # those who wait for an item or for room
        self._consumers = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def has_consumer(self) -> bool:
        """Whether a running service of this process drains the queue."""
        return self._consumers > 0

    def enqueue(self, work_item: WorkItem, timeout: float | None = None) -> None:
        """Add a work item, waiting while the queue is full.

        Raises TypeError if it is not callable, `QueueFull` if there is no room within `timeout`
        seconds (None: wait for ever).
        """
        for wake_up, left in self._until_put(work_item, timeout):
            wake_up.wait(left)

    async def aenqueue(self, work_item: WorkItem, timeout: float | None = None) -> None:
        """As `enqueue`, without holding up the event loop."""
        for wake_up, left in self._until_put(work_item, timeout):
            await wake_up.wait_async(left)

    def dequeue(self, token: CancellationToken) -> WorkItem:
        """Take the oldest work item, waiting for one; raises `OperationCancelled` if cancelled."""
        found: list[WorkItem] = []
        for wake_up in self._until_taken(found, token):
            wake_up.wait()
        return found[0]

    async def adequeue(self, token: CancellationToken) -> WorkItem:
        """As `dequeue`, without holding up the event loop."""
        found: list[WorkItem] = []
        for wake_up in self._until_taken(found, token):
            await wake_up.wait_async()
        return found[0]

    def poll(self) -> WorkItem | None:
        """Take the oldest work item if there is one."""
        with self._lock:
            return self._take()

    @contextmanager
    def consumer(self) -> Iterator[None]:
        """Counts its holder as somebody who drains the queue."""
        with self._lock:
            self._consumers += 1
        try:
            yield
        finally:
            with self._lock:
                self._consumers -= 1

    def _until_put(
        self, work_item: WorkItem, timeout: float | None
    ) -> Iterator[tuple[CancellationToken, float | None]]:
        """Put the item once there is room; until then, yields what to wait for and how long."""
        if not callable(work_item):
            raise TypeError(f"A work item is a callable that takes a token, got {work_item!r}.")
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            wake_up = CancellationToken()
            with self._lock:
                if len(self._items) < self.capacity:
                    self._items.append(work_item)
                    self._wake_all()
                    return
                self._waiting.add(wake_up)
            left = None if deadline is None else deadline - time.monotonic()
            with self._leaving(wake_up):
                if left is not None and left <= 0:
                    raise QueueFull(f"The queue is full: it holds {self.capacity} work items.")
                yield wake_up, left

    def _until_taken(
        self, found: list[WorkItem], token: CancellationToken
    ) -> Iterator[CancellationToken]:
        """Put the oldest item in `found` once there is one; until then, yields what to wait for."""
        while True:
            if token.is_cancelled:
                raise OperationCancelled("Waiting for a work item was cancelled.")
            wake_up = CancellationToken(token)
            with self._lock:
                if (item := self._take()) is not None:
                    found.append(item)
                    return
                self._waiting.add(wake_up)
            with self._leaving(wake_up):
                yield wake_up

    @contextmanager
    def _leaving(self, wake_up: CancellationToken) -> Iterator[None]:
        try:
            yield
        finally:
            # Possibly run by the garbage collector, inside of a call that holds the lock.
            self._waiting.discard(wake_up)

    def _take(self) -> WorkItem | None:
        if not self._items:
            return None
        self._wake_all()
        return self._items.popleft()

    def _wake_all(self) -> None:
        # Everybody looks again, so no wake-up is lost on one who has just given up waiting.
        while self._waiting:
            self._waiting.pop().cancel()


#: The queue of this process that a `QueuedHostedService` drains by default.
background_tasks = BackgroundTaskQueue()


class QueuedHostedService(BackgroundService):
    """Runs the work items of a `BackgroundTaskQueue`, `concurrency` at a time, each in a scope.

    An item that raises is logged, and the next one follows. When the host stops, the items in hand
    are finished and the queue is drained until most of the time for stopping has passed; then the
    items' token is cancelled, and the items that are left in the queue are counted in the log.
    `queue` is a queue or the dotted path of one; default: `hosting.background_tasks`.
    """

    def __init__(
        self, concurrency: int = 1, queue: BackgroundTaskQueue | str | None = None
    ) -> None:
        _judge_number("concurrency", concurrency)
        self.concurrency = concurrency
        self.queue = _find_queue(queue)
        self._ending = CancellationToken()
        self._counting = threading.Lock()
        self._has_reported = False
        self._running = self._executed = self._failed = 0

    def execute(self, stopping: CancellationToken) -> None:
        with self.queue.consumer():
            self.ready()
            helpers = [
                ServiceThread(f"hosting:{self.name}:{n}", lambda: self._consume(stopping))
                for n in range(2, self.concurrency + 1)
            ]
            self._consume(stopping)
            for helper in helpers:
                helper.finished.wait()
        self._report_left()

    def stop(self, cancel: CancellationToken) -> None:
        ending = self._ending
        cancel.register(ending.cancel)
        cancel.register(self._report_left)  # also if an item hangs, and `execute` with it
        if cancel.remaining is not None:
            ending.cancel_after(cancel.remaining * DRAIN_SHARE)

    def facts(self) -> Mapping[str, Any]:
        return {
            "waiting": len(self.queue),
            "running": self._running,
            "executed": self._executed,
            "failed": self._failed,
        }

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        problems = list(super().check_options(options))
        yield from problems
        judges: Iterable[Callable[[], object]] = (
            lambda: _judge_number("concurrency", options.get("concurrency", 1)),
            lambda: _find_queue(options.get("queue")),
        )
        for judge in judges:
            try:
                judge()
            except ValueError as error:
                yield str(error)

    def _consume(self, stopping: CancellationToken) -> None:
        while (item := self._next(stopping)) is not None:
            self._run(item)

    def _next(self, stopping: CancellationToken) -> WorkItem | None:
        """The next item; None when the service is to end and nothing is left that it may do."""
        try:
            return self.queue.dequeue(stopping)
        except OperationCancelled:
            return None if self._ending.is_cancelled else self.queue.poll()

    def _run(self, item: WorkItem) -> None:
        self._count(running=1)
        try:
            self._runtime.call(in_scope(item), self._ending)
        except OperationCancelled:
            logger.info("%s was cancelled", _name(item), extra={"service": self.name})
        except BaseException:
            self._count(failed=1)
            logger.exception(
                "Error occurred executing %s", _name(item), extra={"service": self.name}
            )
        finally:
            self._count(running=-1, executed=1)

    def _count(self, running: int = 0, executed: int = 0, failed: int = 0) -> None:
        with self._counting:
            self._running += running
            self._executed += executed
            self._failed += failed

    def _report_left(self) -> None:
        """Log, once, how many items are left."""
        with self._counting:
            left, self._has_reported = 0 if self._has_reported else len(self.queue), True
        if left:
            logger.warning(
                "Service %r ended with %d work items left in the queue, which is not durable",
                self.name,
                left,
                extra={"service": self.name},
            )


def _find_queue(queue: object) -> BackgroundTaskQueue:
    if queue is None:
        return background_tasks
    found = queue
    if isinstance(queue, str):
        try:
            found = import_string(queue)
        except ImportError as error:
            raise ValueError(f"queue is {queue!r}, which cannot be imported: {error}") from error
    if not isinstance(found, BackgroundTaskQueue):
        raise ValueError(
            f"queue is {queue!r}, allowed: a BackgroundTaskQueue or the dotted path of one"
        )
    return found


def _name(item: WorkItem) -> str:
    return getattr(item, "__qualname__", repr(item))
