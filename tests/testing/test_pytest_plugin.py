"""The fixtures that projects get with pytest."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


class TestHosted:
    def test_it_starts_services(self, hosted: Hosted) -> None:
        Plain.closed.clear()
        host = hosted(Plain(), settings=HostingSettings(shutdown_timeout=7))

        assert [status.state for status in host.services()] == [ServiceState.RUNNING]
        assert host.settings.shutdown_timeout == 7
        assert Plain.closed == []

    def test_and_stopped_them_at_the_end_of_the_test(self) -> None:
        assert len(Plain.closed) == 1

    def test_it_takes_several(self, hosted: Hosted) -> None:
        [first], [second] = hosted(Plain()).services(), hosted(Plain()).services()
        assert (first.state, second.state) == (ServiceState.RUNNING, ServiceState.RUNNING)


def test_pytest_finds_the_plugin_where_the_package_is_installed() -> None:
    project: Any = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert list(project["entry-points"]["pytest11"].values()) == ["hosting.pytest_plugin"]


class Writes(HostedService):
    """Reads the database at its end, which must still be as the test left it."""

    rows: list[int] = []

    def stop(self, cancel: CancellationToken) -> None:
        self.rows.append(Limit.objects.count())


class TestHostedBeforeItsDatabase:
    """The services stop before the database is emptied, whichever fixture is named first."""

    def test_it_is_named_first(self, hosted: Hosted, transactional_db: None) -> None:
        Writes.rows.clear()
        hosted(Writes())
        Limit.objects.create(key="a")

    def test_and_stopped_first(self) -> None:
        assert Writes.rows == [1]
