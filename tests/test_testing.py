"""What `hosting.testing` offers: a started host, and assertions that can fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hosting.cancellation import CancellationToken
from hosting.conf import HostingSettings
from hosting.exceptions import ServiceStartError
from hosting.services import BackgroundService, HostedService, ServiceState
from hosting.testing import assert_lifecycle, started
from hosting.threads import ServiceThread
from tests.host.helpers import FLAVOURS, Fails, Journal, Polite, a_service, assert_no_threads_left


@pytest.fixture
def journal() -> Iterator[Journal]:
    yield Journal()
    assert_no_threads_left()


def test_started_gives_a_running_host_and_stops_it(journal: Journal) -> None:
    service = a_service("a", journal, execute=Polite())
    with started(service) as host:
        [status] = host.services()
        assert status.state is ServiceState.RUNNING
        assert status.name == "PlainWorker"
    assert journal.lines[-1] == "a.close"
    assert host.lifetime.stopped.is_cancelled


def test_started_takes_settings(journal: Journal) -> None:
    settings = HostingSettings(shutdown_timeout=42)
    with started(a_service("a", journal), settings=settings) as host:
        assert host.settings is settings


def test_started_stops_the_host_when_the_test_fails(journal: Journal) -> None:
    def failing() -> None:
        with started(a_service("a", journal)):
            raise ValueError("the test has failed")

    with pytest.raises(ValueError, match="the test has failed"):
        failing()
    assert journal.count("a.close") == 1


def test_started_raises_what_the_start_raises(journal: Journal) -> None:
    with (
        pytest.raises(ServiceStartError),
        started(a_service("a", journal, start=Fails(ValueError()))),
    ):
        pass


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_good_service_keeps_the_contract(journal: Journal, flavour: str) -> None:
    assert_lifecycle(lambda: a_service("a", journal, flavour))
    assert_lifecycle(lambda: a_service("b", journal, flavour, execute=Polite()))


class StopsOnlyWhatStarted(HostedService):
    """Cannot be stopped before it was started."""

    def start(self, cancel: CancellationToken) -> None:
        self.connection = object()

    def stop(self, cancel: CancellationToken) -> None:
        del self.connection


class ClosesTwice(HostedService):
    def stop(self, cancel: CancellationToken) -> None:
        self.close()


class CannotClose(HostedService):
    def close(self) -> None:
        raise ValueError("it is stuck")


class CrashesAtTheEnd(BackgroundService):
    def execute(self, stopping: CancellationToken) -> None:
        stopping.wait()
        raise ValueError("half a file")


class LeavesAThread(BackgroundService):
    """Its helper lives longer than itself."""

    release: CancellationToken

    def execute(self, stopping: CancellationToken) -> None:
        ServiceThread(f"hosting:{self.name}:helper", self.release.wait)
        stopping.wait()


@pytest.mark.parametrize(
    "kind", [StopsOnlyWhatStarted, ClosesTwice, CannotClose, CrashesAtTheEnd, LeavesAThread]
)
def test_a_service_that_breaks_the_contract_is_found_out(
    kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    LeavesAThread.release = CancellationToken()
    try:
        with pytest.raises((AssertionError, ExceptionGroup)):
            assert_lifecycle(kind)
    finally:
        LeavesAThread.release.cancel()
    assert_no_threads_left()
