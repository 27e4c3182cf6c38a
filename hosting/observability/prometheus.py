"""Counts for Prometheus what happens in this process: jobs, ticks, services.

The metrics are ordinary ones of `prometheus_client` in its default registry, so a project that
serves that already has them, and they work in its multiprocess mode. Whatever is told comes in
batches, and is brought to the metrics in batches.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from hosting.observability.batches import observe_all
from hosting.observability.collecting import ProcessCollector, StoreCollector
from hosting.observability.labels import UNKNOWN, Labels
from hosting.observability.receiving import Receivers
from hosting.queues.telling import SettledAttempt
from hosting.services import ServiceState
from hosting.signals import (
    attempts_settled,
    host_started,
    jobs_rescued,
    round_trip_finished,
    service_state_changed,
    tick_finished,
)

#: Upper ends of the classes (seconds): from a quick statement to half an hour.
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

#: The same for a statement or two.
TRIP_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)


class Meters:
    """The metrics of this process, in this registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        own: dict[str, Any] = {"registry": registry}
        timed: dict[str, Any] = {**own, "buckets": BUCKETS}
        self._queues = Labels()
        self._jobs = Counter(
            "hosting_jobs",
            "Attempts of jobs that have ended, by what became of them.",
            ["task", "queue", "outcome"],
            **own,
        )
        self._run = Histogram(
            "hosting_job_run_seconds",
            "How long attempts of jobs took.",
            ["task", "queue"],
            **timed,
        )
        self._wait = Histogram(
            "hosting_job_wait_seconds",
            "How long jobs that were due waited for their attempt.",
            ["task", "queue"],
            **timed,
        )
        self._round_trip = Histogram(
            "hosting_worker_round_trip_seconds",
            "How long it took a worker to settle jobs in its database and to claim others.",
            ["service"],
            buckets=TRIP_BUCKETS,
            **own,
        )
        self._rescued = Counter(
            "hosting_jobs_rescued",
            "Jobs taken from processes that are gone, by what became of them.",
            ["outcome"],
            **own,
        )
        self._ticks = Counter(
            "hosting_ticks",
            "Ticks and iterations of services that have ended.",
            ["service", "outcome"],
            **own,
        )
        self._tick = Histogram(
            "hosting_tick_seconds", "How long ticks and iterations took.", ["service"], **timed
        )
        self._last_tick = Gauge(
            "hosting_last_tick_timestamp_seconds",
            "When the last tick or iteration of a service ended, since the epoch.",
            ["service"],
            multiprocess_mode="max",
            **own,
        )
        self._up = Gauge(
            "hosting_service_up",
            "Whether a service runs in this process.",
            ["service"],
            multiprocess_mode="livesum",
            **own,
        )
        self._restarts = Counter(
            "hosting_service_restarts",
            "How often execute of a service has ended and is to be run again.",
            ["service"],
            **own,
        )

    def note_attempts(self, attempts: Sequence[SettledAttempt], **_: Any) -> None:
        """Note what became of jobs in hand."""
        ended: Tally[tuple[str, str, str]] = Tally()
        runs: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        waits: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for _job, path, queue_name, outcome, wait, seconds, _error in attempts:
            task, queue = path or UNKNOWN, self._queues.of(queue_name)
            ended[task, queue, outcome] += 1
            if wait is not None and seconds is not None:
                runs[task, queue].append(seconds)
                waits[task, queue].append(wait)
        for labels, count in ended.items():
            self._jobs.labels(*labels).inc(count)
        for pair, taken in runs.items():
            observe_all(self._run.labels(*pair), taken)
            observe_all(self._wait.labels(*pair), waits[pair])

    def note_round_trip(self, service: str, seconds: float, **_: Any) -> None:
        """Note that a worker has settled and claimed."""
        self._round_trip.labels(service).observe(seconds)

    def note_rescue(self, rescue: Any, **_: Any) -> None:
        """Note what was taken from processes that are gone."""
        for outcome in ("given_back", "buried", "cancelled"):
            if ids := getattr(rescue, outcome):
                self._rescued.labels(outcome).inc(len(ids))

    def note_tick(
        self, service: str, seconds: float, error: BaseException | None, **_: Any
    ) -> None:
        """Note that a tick has ended."""
        self._ticks.labels(service, "successful" if error is None else "failed").inc()
        self._tick.labels(service).observe(seconds)
        self._last_tick.labels(service).set(time.time())

    def note_state(self, service: str, new: ServiceState, **_: Any) -> None:
        """Note the new state of a service."""
        self._up.labels(service).set(new is ServiceState.RUNNING)
        if new is ServiceState.RESTARTING:
            self._restarts.labels(service).inc()


class Observer(Receivers):
    """Meters that are connected to what the core announces, until it is closed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        meters, process = Meters(registry), ProcessCollector()
        self.store = StoreCollector()
        super().__init__(
            {
                attempts_settled: meters.note_attempts,
                round_trip_finished: meters.note_round_trip,
                jobs_rescued: meters.note_rescue,
                tick_finished: meters.note_tick,
                service_state_changed: meters.note_state,
                host_started: process.note_host,
            }
        )
        registry.register(self.store)
        registry.register(process)


def connect() -> None:
    """Count from now on, in the default registry; again: does nothing."""
    global _observer
    if _observer is None:
        _observer = Observer(REGISTRY)


def store_collector() -> StoreCollector | None:
    """What asks the database; None if nothing is connected."""
    return _observer.store if _observer is not None else None


_observer: Observer | None = None
