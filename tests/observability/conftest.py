"""Fixtures of the observers' tests: a registry of their own, and workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.queues.conftest import fresh_tasks, worker

__all__ = ["fresh_tasks", "worker"]


class Scrape:
    """What Prometheus' own parser reads in the text of a registry."""

    def __init__(self, text: str) -> None:
        parser = pytest.importorskip("prometheus_client.parser")
        self.families = {each.name: each for each in parser.text_string_to_metric_families(text)}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """The value of a sample; None if there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def total(self, name: str) -> float:
        """The sum over all labels."""
        return sum(value for (found, _), value in self.samples.items() if found == name)


class Observed:
    """An observer with a registry of its own."""

    def __init__(self) -> None:
        client = pytest.importorskip("prometheus_client")
        from hosting.observability.prometheus import Observer

        self._client = client
        self.registry = client.CollectorRegistry()
        self.observer = Observer(self.registry)

    def scrape(self) -> Scrape:
        return Scrape(self._client.generate_latest(self.registry).decode())


@pytest.fixture
def observed() -> Iterator[Any]:
    observed = Observed()
    yield observed
    observed.observer.close()
