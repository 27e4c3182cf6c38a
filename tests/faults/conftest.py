"""Fixtures of the faults."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.faults.fleet import Fleet
from tests.faults.network import Host, Network, ServerOnHost
from tests.faults.server import Server
from tests.faults.team import Team
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


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """Hosts that can be cut off, where they can be made."""
    with ExitStack() as opened:
        try:
            network = opened.enter_context(Network())
        except OSError as error:
            pytest.skip(f"no network can be made: {error}")
        yield network


@pytest.fixture(scope="session")
def server_on_host(network: Network) -> Iterator[ServerOnHost]:
    """A PostgreSQL that these hosts reach."""
    with ServerOnHost(network.server) as server:
        yield server


@pytest.fixture(scope="session")
def databases_on_host(server_on_host: ServerOnHost) -> Iterator[Databases]:
    """Fresh databases there."""
    made = PostgreSQLDatabases(server_on_host.url)
    yield made
    made.close()


@pytest.fixture
def hosts(network: Network) -> Iterator[list[Host]]:
    """Three hosts beside the server's, which are there for this test alone."""
    with ExitStack() as opened:
        yield [opened.enter_context(network.add(name)) for name in ("red", "green", "blue")]


@pytest.fixture
def team(
    databases_on_host: Databases, server_on_host: ServerOnHost, hosts: list[Host]
) -> Iterator[Team]:
    """A worker on each of these hosts."""
    with databases_on_host.fresh() as url, Project(url) as project:
        yield Team(project, hosts, server_on_host.url_for_hosts(url))
