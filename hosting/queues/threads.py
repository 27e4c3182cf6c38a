"""The threads that jobs run on."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from hosting.threads import ServiceThread

T = TypeVar("T")


class JobThreads(Generic[T]):
    """At most `size` daemon threads that call `run` with what is submitted."""

    def __init__(self, name: str, size: int, run: Callable[[T], None]) -> None:
        self._name = name
        self._size = size
        self._run = run
        self._items: SimpleQueue[T | None] = SimpleQueue()
        self._threads: list[ServiceThread] = []

    def submit(self, item: T) -> None:
        """Have a thread call `run(item)`, which must not raise."""
        self._items.put(item)
        if len(self._threads) < self._size:
            name = f"{self._name}-{len(self._threads) + 1}"
            self._threads.append(ServiceThread(name, self._work))

    def close(self) -> None:
        """Let every thread end after what it does now; waits for none."""
        for _ in self._threads:
            self._items.put(None)

    def _work(self) -> None:
        while (item := self._items.get()) is not None:
            self._run(item)
