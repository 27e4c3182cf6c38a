"""What is asked when Prometheus scrapes: the database, at a bounded cost, and this process."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error
from prometheus_client.core import GaugeMetricFamily

from hosting.background import background_tasks
from hosting.host import Host
from hosting.observability.fleetwide import Answers, ask_database
from hosting.observability.labels import Labels

#: Seconds for which answers of the database are good, however often it is scraped.
FRESH = 5.0


class StoreCollector:
    """What the database knows: the queues, and the processes and services of the fleet.

    Every process gives the same answers.
    """

    def __init__(self, ask: Callable[[], Answers] = ask_database) -> None:
        self._ask = ask
        self._queues = Labels()
        self._lock = threading.Lock()
        self._answers = Answers()
        self._good_until = 0.0
        self._is_up = False

    def describe(self) -> Iterable[Any]:
        """The names alone, so that nothing is asked when it is registered."""
        return self._metrics(Answers(), is_up=False)

    def collect(self) -> Iterator[Any]:
        """Called for every scrape."""
        with self._lock:
            if time.monotonic() >= self._good_until:
                self._renew()
            answers, is_up = self._answers, self._is_up
        yield from self._metrics(answers, is_up)

    def _renew(self) -> None:
        try:
            self._answers, self._is_up = self._ask(), True
        except (Error, ImproperlyConfigured):  # the rest of the scrape is worth having all the same
            self._answers, self._is_up = Answers(), False
        self._good_until = time.monotonic() + FRESH

    def _metrics(self, answers: Answers, is_up: bool) -> list[Any]:
        jobs: dict[tuple[str, ...], float] = {}
        for (queue, state), count in answers.jobs.items():
            labels = (self._queues.of(queue), state)
            jobs[labels] = jobs.get(labels, 0) + count
        oldest: dict[tuple[str, ...], float] = {}
        for queue, age in answers.oldest_ready.items():
            label = (self._queues.of(queue),)
            oldest[label] = max(age, oldest.get(label, 0.0))
        return [
            _gauge("hosting_database_up", "Whether the database has answered.", {(): is_up}),
            _gauge(
                "hosting_queue_jobs",
                "Jobs that have not ended; counting stops at 10000, see the documentation.",
                jobs,
                "queue",
                "state",
            ),
            _gauge(
                "hosting_queue_oldest_ready_seconds",
                "For how long the oldest job that is ready has been due.",
                oldest,
                "queue",
            ),
            _gauge(
                "hosting_services",
                "Copies of services in all processes that live.",
                dict(answers.services),
                "service",
                "state",
            ),
            _gauge(
                "hosting_processes",
                "Processes that live and host services.",
                {(kind,): count for kind, count in answers.processes.items()},
                "kind",
            ),
        ]


class ProcessCollector:
    """What waits in the memory of this process."""

    def __init__(self) -> None:
        self._host: Callable[[], Host | None] = lambda: None

    def note_host(self, host: Host, **_: Any) -> None:
        """Note the host of this process, which has started."""
        self._host = weakref.ref(host)

    def describe(self) -> Iterable[Any]:
        """The names alone."""
        return [_waiting({})]

    def collect(self) -> Iterator[Any]:
        """Called for every scrape."""
        host = self._host()
        waiting: dict[tuple[str, ...], float] = {("default",): len(background_tasks)}
        for status in host.services() if host else ():
            if "waiting" in status.facts:
                waiting[status.name,] = status.facts["waiting"]
        yield _waiting(waiting)


def _waiting(values: Mapping[tuple[str, ...], float]) -> Any:
    return _gauge(
        "hosting_background_queue_items",
        "Work items that wait in queues in the memory of this process.",
        values,
        "queue",
    )


def _gauge(name: str, words: str, values: Mapping[Any, float], *labels: str) -> Any:
    family = GaugeMetricFamily(name, words, labels=labels)
    for found, value in values.items():
        family.add_metric(found, value)
    return family
