"""Fixtures of the faults."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.fleet import Fleet
from tests.faults.server import Server
from tests.processes import Databases, PostgreSQLDatabases, Project

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


@pytest.fixture(scope="session")
def own_server() -> Iterator[Server]:
    """A PostgreSQL that the tests here may stop."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def own_databases(own_server: Server) -> Iterator[Databases]:
    """Fresh databases on that server."""
    made = PostgreSQLDatabases(own_server.url)
    yield made
    made.close()


@pytest.fixture
def own_project(own_databases: Databases) -> Iterator[Project]:
    """A project on one of these databases."""
    with own_databases.fresh() as url, Project(url) as made:
        yield made
