"""What Prometheus sees of services and their ticks."""

from __future__ import annotations

import time
from typing import Any

from hosting import BackgroundService, BackgroundTaskQueue, CancellationToken, TimedService
from hosting.background import QueuedHostedService
from hosting.testing import started
from tests.observability.conftest import Observed
from tests.queues.conftest import until


class Ticking(TimedService):
    interval = 0.01

    def tick(self, stopping: CancellationToken) -> None:
        if self.unit_count == 2:
            raise LookupError("as told")


class Crashing(BackgroundService):
    lives = 0

    def execute(self, stopping: CancellationToken) -> None:
        self.lives += 1
        if self.lives == 1:
            raise LookupError("as told")
        stopping.wait()


def test_ticks_are_counted_and_measured(observed: Observed, db: None) -> None:
    def ticks(outcome: str) -> float:
        return (
            observed.scrape().value("hosting_ticks_total", service="Ticking", outcome=outcome) or 0
        )

    with started(Ticking()):
        until(lambda: ticks("successful") > 1)

    scrape = observed.scrape()
    assert ticks("failed") == 1
    counted = scrape.value("hosting_tick_seconds_count", service="Ticking")
    assert counted == scrape.total("hosting_ticks_total")
    last: Any = scrape.value("hosting_last_tick_timestamp_seconds", service="Ticking")
    assert 0 <= time.time() - last < 30


def test_a_service_is_up_while_it_runs_and_its_restarts_are_counted(
    observed: Observed, db: None
) -> None:
    def up() -> float | None:
        return observed.scrape().value("hosting_service_up", service="Crashing")

    def restarts() -> float | None:
        return observed.scrape().value("hosting_service_restarts_total", service="Crashing")

    with started(Crashing()):
        until(lambda: restarts() == 1 and up() == 1)
    assert up() == 0


def test_a_queue_of_its_own_in_memory_is_counted(observed: Observed, db: None) -> None:
    queue, busy = BackgroundTaskQueue(), CancellationToken()
    service = QueuedHostedService(queue=queue)
    with started(service):
        queue.enqueue(lambda token: busy.wait())
        until(lambda: not len(queue))
        queue.enqueue(lambda token: None)
        scrape = observed.scrape()
        busy.cancel()

    assert scrape.value("hosting_background_queue_items", queue="QueuedHostedService") == 1
