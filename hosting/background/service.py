"""The service that drains a queue of work items."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from django.utils.module_loading import import_string

from hosting.background.queue import (
    BackgroundTaskQueue,
    WorkItem,
    background_tasks,
    judge_number,
)
from hosting.cancellation import CancellationToken
from hosting.exceptions import OperationCancelled
from hosting.scope import call_in_scope
from hosting.services import BackgroundService
from hosting.threads import ServiceThread

logger = logging.getLogger(__package__)

#: Share of the time for stopping that items get to finish in before they are told to end.
DRAIN_SHARE = 0.8


class Tally:
    """What one consumer has done; written by its thread only, so that counting takes no lock."""

    __slots__ = ("executed", "failed", "running")

    def __init__(self) -> None:
        self.running = self.executed = self.failed = 0


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
        judge_number("concurrency", concurrency)
        self.concurrency = concurrency
        self.queue = _find_queue(queue)
        self._ending = CancellationToken()
        self._reporting = threading.Lock()
        self._has_reported = False
        self._tallies: list[Tally] = []

    def execute(self, stopping: CancellationToken) -> None:
        with self.queue.consumer():
            self.ready()
            helpers = [
                ServiceThread(f"hosting:{self.name}:{n}", partial(self._consume, stopping, str(n)))
                for n in range(2, self.concurrency + 1)
            ]
            self._consume(stopping, "")
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
            "running": sum(tally.running for tally in self._tallies),
            "executed": sum(tally.executed for tally in self._tallies),
            "failed": sum(tally.failed for tally in self._tallies),
        }

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        problems = list(super().check_options(options))
        yield from problems
        judges: Iterable[Callable[[], object]] = (
            lambda: judge_number("concurrency", options.get("concurrency", 1)),
            lambda: _find_queue(options.get("queue")),
        )
        for judge in judges:
            try:
                judge()
            except ValueError as error:
                yield str(error)

    def _consume(self, stopping: CancellationToken, part: str) -> None:
        tally = Tally()
        self._tallies.append(tally)
        idle = partial(self._runtime.beat, float("inf"), part)
        while (item := self._next(stopping, idle)) is not None:
            self._runtime.beat(part=part)
            self._run(item, tally)

    def _next(self, stopping: CancellationToken, idle: Callable[[], object]) -> WorkItem | None:
        """The next item; None when the service is to end and nothing is left that it may do."""
        if (item := self._poll()) is not None:
            return item
        idle()
        try:
            return self.queue.dequeue(stopping)
        except OperationCancelled:
            return self._poll()

    def _poll(self) -> WorkItem | None:
        return None if self._ending.is_cancelled else self.queue.poll()

    def _run(self, item: WorkItem, tally: Tally) -> None:
        tally.running = 1
        try:
            self._runtime.call(call_in_scope, item, self._ending)
        except OperationCancelled:
            logger.info("%s was cancelled", _name(item), extra={"service": self.name})
        except BaseException:
            tally.failed += 1
            logger.exception(
                "Error occurred executing %s", _name(item), extra={"service": self.name}
            )
        finally:
            tally.running = 0
            tally.executed += 1

    def _report_left(self) -> None:
        """Log, once, how many items are left."""
        with self._reporting:
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
