"""A bounded queue of work items in memory, for threads and coroutines on either side.

Nobody who finds an item or room waits or makes anything to wait on. Whoever finds none enters
himself among those who wait, looks once more, and only then waits; whoever brings an item or room
does so first, and then wakes all who have entered. So one of the two always sees the other. Only
those who add take the lock, since two of them might take the same last place; a deque is safe
against one who takes meanwhile.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hosting import forks
from hosting.cancellation import CancellationToken
from hosting.exceptions import OperationCancelled, QueueFull

#: A callable, plain or coroutine function, that takes the token which tells it to end.
WorkItem = Callable[[CancellationToken], Any]


def judge_number(name: str, value: object) -> None:
    """Raises ValueError unless the value is a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}, allowed: a whole number, 1 or more")


class BackgroundTaskQueue:
    """A first-in, first-out queue of work items; once it holds `capacity` of them, adding waits."""

    def __init__(self, capacity: int = 100) -> None:
        judge_number("capacity", capacity)
        self.capacity = capacity
        self._items: deque[WorkItem] = deque()
        self._lock = forks.lock()
        self._waiting_for_items: set[CancellationToken] = set()
        self._waiting_for_room: set[CancellationToken] = set()
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
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._put(work_item):
            left = self._left(deadline)
            with _waiting_in(self._waiting_for_room) as wake_up:
                if self._is_full():
                    wake_up.wait(left)

    async def aenqueue(self, work_item: WorkItem, timeout: float | None = None) -> None:
        """As `enqueue`, without holding up the event loop."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._put(work_item):
            left = self._left(deadline)
            with _waiting_in(self._waiting_for_room) as wake_up:
                if self._is_full():
                    await wake_up.wait_async(left)

    def dequeue(self, token: CancellationToken) -> WorkItem:
        """Take the oldest work item, waiting for one; raises `OperationCancelled` if cancelled."""
        while (item := self._take(token)) is None:
            with _waiting_in(self._waiting_for_items, token) as wake_up:
                if not self._items:
                    wake_up.wait()
        return item

    async def adequeue(self, token: CancellationToken) -> WorkItem:
        """As `dequeue`, without holding up the event loop."""
        while (item := self._take(token)) is None:
            with _waiting_in(self._waiting_for_items, token) as wake_up:
                if not self._items:
                    await wake_up.wait_async()
        return item

    def poll(self) -> WorkItem | None:
        """Take the oldest work item if there is one."""
        try:
            item = self._items.popleft()
        except IndexError:
            return None
        if self._waiting_for_room:
            _wake_all(self._waiting_for_room)
        return item

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

    def _put(self, work_item: WorkItem) -> bool:
        """Add the item; False if there is no room for it."""
        if not callable(work_item):
            raise TypeError(f"A work item is a callable that takes a token, got {work_item!r}.")
        with self._lock:
            if len(self._items) >= self.capacity:
                return False
            self._items.append(work_item)
        if self._waiting_for_items:
            _wake_all(self._waiting_for_items)
        return True

    def _take(self, token: CancellationToken) -> WorkItem | None:
        if token.is_cancelled:
            raise OperationCancelled("Waiting for a work item was cancelled.")
        return self.poll()

    def _is_full(self) -> bool:
        return len(self._items) >= self.capacity

    def _left(self, deadline: float | None) -> float | None:
        """Seconds left to wait for room (None: for ever); raises `QueueFull` if none are."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise QueueFull(f"The queue is full: it holds {self.capacity} work items.")
        return left


@contextmanager
def _waiting_in(
    waiting: set[CancellationToken], *linked_to: CancellationToken
) -> Iterator[CancellationToken]:
    """Enter among those who wait, with a token to wait on, which is cancelled to wake its owner."""
    wake_up = CancellationToken(*linked_to)
    waiting.add(wake_up)
    try:
        yield wake_up
    finally:
        # Possibly run by the garbage collector, inside of a call that holds the lock.
        waiting.discard(wake_up)


def _wake_all(waiting: set[CancellationToken]) -> None:
    # Everybody looks again, so no wake-up is lost on one who has just given up waiting.
    while True:
        try:
            wake_up = waiting.pop()
        except KeyError:
            return
        wake_up.cancel()


#: The queue of this process that a `QueuedHostedService` drains by default.
background_tasks = BackgroundTaskQueue()
