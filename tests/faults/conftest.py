"""Fixtures of the faults."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.fleet import Fleet
from tests.processes import Project

MakeFleet = Callable[..., Fleet]
Stopwatch = Callable[[], str]


@pytest.fixture
def make_fleet(project: Project) -> MakeFleet:
    """Makes the fleet of the test's project, which goes with it."""

    def make(**options: Any) -> Fleet:
        return Fleet(project, **options)

    return make


@pytest.fixture
def fleet(make_fleet: MakeFleet) -> Fleet:
    """A fleet with the usual options, still without workers."""
    return make_fleet()


@pytest.fixture
def stopwatch() -> Stopwatch:
    """Gives the seconds since the test has begun."""
    began = time.monotonic()
    return lambda: f"{time.monotonic() - began:.1f}"
