"""The services of the sample: a timer, scoped work, and the monitor loop."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from django.utils import timezone

from hosting import (
    CancellationToken,
    HostedService,
    QueueFull,
    ScopedService,
    TimedService,
    background_tasks,
    fleet,
)
from hosting.scope import Scope
from hosting.signals import key_pressed
from messages_app.models import AddedTask, Message, State

logger = logging.getLogger(__name__)

MONITOR_STEPS = 3


class TimedHostedService(TimedService):
    """Logs how often it has ticked."""

    interval = 5.0

    def start(self, cancel: CancellationToken) -> None:
        logger.info("Timed Hosted Service running.")

    def tick(self, stopping: CancellationToken) -> None:
        logger.info("Timed Hosted Service is working. Count: %d", self.unit_count)

    def stop(self, cancel: CancellationToken) -> None:
        logger.info("Timed Hosted Service is stopping.")


class ScopedHostedService(ScopedService):
    """Counts the messages, and finds tasks that were lost with the process that held them."""

    interval = 10.0

    def work(self, scope: Scope, stopping: CancellationToken) -> None:
        logger.info(
            "Scoped Processing Service is working. Count: %d. Messages: %d",
            self.unit_count,
            Message.objects.count(),
        )
        if lost := mark_lost_tasks():
            logger.warning("%d tasks were lost with the process that held them.", lost)


def mark_lost_tasks() -> int:
    """Mark unfinished tasks of in-memory queues that no longer exist; returns how many."""
    alive = {(service.host_name, service.pid) for service in fleet.services()}
    lost = AddedTask.objects.kept_by_processes_other_than(alive)
    return lost.update(state=State.LOST, finished_at=timezone.now())


class MonitorLoop(HostedService):
    """Adds a work item to the in-memory queue when `w` is pressed on the worker's terminal."""

    def __init__(self, step_seconds: float = 5.0) -> None:
        self.step_seconds = step_seconds

    def start(self, cancel: CancellationToken) -> None:
        logger.info("Monitor Loop is starting.")
        key_pressed.connect(self.on_key)

    def stop(self, cancel: CancellationToken) -> None:
        key_pressed.disconnect(self.on_key)

    def on_key(self, key: str, **kwargs: object) -> None:
        """Receives `key_pressed`."""
        if key.lower() != "w":
            return
        if not background_tasks.has_consumer:
            logger.warning("No work item was added: this process hosts no QueuedHostedService.")
            return
        try:
            # No wait for room: it would hold up the keyboard.
            background_tasks.enqueue(partial(simulate_work, self.step_seconds), timeout=0)
        except QueueFull as error:
            logger.warning("No work item was added: %s", error)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        yield from super().check_options(options)
        seconds = options.get("step_seconds", 0)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
            yield f"step_seconds is {seconds!r}; allowed: a number of seconds, 0 or more"


def simulate_work(step_seconds: float, token: CancellationToken) -> None:
    """A work item that takes a while: three waits, and a line in the log after each."""
    guid = uuid.uuid4()
    logger.info("Queued Background Task %s is starting.", guid)
    for step in range(1, MONITOR_STEPS + 1):
        if token.wait(step_seconds):
            logger.info("Queued Background Task %s was cancelled.", guid)
            return
        logger.info("Queued Background Task %s is running. %d/%d", guid, step, MONITOR_STEPS)
    logger.info("Queued Background Task %s is complete.", guid)
