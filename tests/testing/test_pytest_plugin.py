"""The fixtures that projects get with pytest."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hosting import CancellationToken, HostedService, ServiceState
from hosting.conf import HostingSettings
from hosting.host import Host
from hosting.models import Limit

ROOT = Path(__file__).resolve().parents[2]
Hosted = Callable[..., Host]


class Plain(HostedService):
    """Does nothing, and knows that it was closed."""

    closed: list[HostedService] = []

    def close(self) -> None:
        self.closed.append(self)


@pytest.fixture
def at_the_end() -> Iterator[list[Callable[[], bool]]]:
    """What must be so once the fixtures that a test names after this one have ended."""
    facts: list[Callable[[], bool]] = []
    yield facts
    assert all(fact() for fact in facts)


class TestHosted:
    def test_it_starts_services_and_stops_them_at_the_end(
        self, at_the_end: list[Callable[[], bool]], hosted: Hosted
    ) -> None:
        Plain.closed.clear()
        host = hosted(Plain(), settings=HostingSettings(shutdown_timeout=7))

        assert [status.state for status in host.services()] == [ServiceState.RUNNING]
        assert host.settings.shutdown_timeout == 7
        assert Plain.closed == []
        at_the_end.append(lambda: len(Plain.closed) == 1)

    def test_it_takes_several(self, hosted: Hosted) -> None:
        [first], [second] = hosted(Plain()).services(), hosted(Plain()).services()
        assert (first.state, second.state) == (ServiceState.RUNNING, ServiceState.RUNNING)

    def test_they_stop_before_the_database_is_emptied_whichever_is_named_first(
        self,
        at_the_end: list[Callable[[], bool]],
        hosted: Hosted,
        transactional_db: None,
    ) -> None:
        Counts.rows.clear()
        hosted(Counts())
        Limit.objects.create(key="a")
        at_the_end.append(lambda: Counts.rows == [1])


class Counts(HostedService):
    """Reads the database at its end, which must still be as the test left it."""

    rows: list[int] = []

    def stop(self, cancel: CancellationToken) -> None:
        self.rows.append(Limit.objects.count())


def test_pytest_finds_the_plugin_where_the_package_is_installed() -> None:
    project: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert list(project["entry-points"]["pytest11"].values()) == ["hosting.pytest_plugin"]
