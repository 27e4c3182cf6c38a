"""What happens when `execute` ends: lifecycle 8."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hosting.backoff import Backoff
from hosting.cancellation import CancellationToken
from hosting.exceptions import OperationCancelled
from hosting.services import BackgroundService, HostedService, ServiceState
from hosting.signals import service_state_changed
from tests.host.helpers import (
    FLAVOURS,
    PATIENCE,
    Act,
    Does,
    Fails,
    Fine,
    Journal,
    Polite,
    Runner,
    Then,
    a_host,
    a_service,
    status,
    supervised,
    until_state,
)

CRASH = Fails(ValueError("out of luck"))


@pytest.fixture
def announced() -> Iterator[list[tuple[str, str]]]:
    """The states that services enter, as they are announced."""
    heard: list[tuple[str, str]] = []

    def hear(service: str, new: ServiceState, **_: Any) -> None:
        heard.append((service, new.value))

    service_state_changed.connect(hear)
    yield heard
    service_state_changed.disconnect(hear)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("restart", ["on-failure", "always"])
def test_a_crash_is_logged_and_the_service_run_again(
    journal: Journal, caplog: pytest.LogCaptureFixture, flavour: str, restart: str
) -> None:
    """Lifecycle 8: with the service's name and the traceback."""
    service = a_service("a", journal, flavour, execute=Then(CRASH, CRASH, Polite()))
    with a_host(supervised(service, restart=restart)) as host:
        journal.wait_for("a.execute", times=3)
        found = status(host, "a")
        assert (found.state, found.restarts) == (ServiceState.RUNNING, 2)
        assert found.last_error == "ValueError: out of luck"
    crashes = [record for record in caplog.records if "crashed" in record.getMessage()]
    assert len(crashes) == 2
    assert all("'a'" in record.getMessage() and record.exc_info for record in crashes)
    assert all(record.__dict__["service"] == "a" for record in crashes)
    assert status(host, "a").state is ServiceState.STOPPED


@pytest.mark.parametrize("error", [OperationCancelled("of something else"), SystemExit(3)])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_any_error_is_a_crash_while_the_service_is_not_asked_to_end(
    journal: Journal, caplog: pytest.LogCaptureFixture, flavour: str, error: BaseException
) -> None:
    """Lifecycle 8: a cancellation of something else, or an exit, are no end that was asked for."""
    service = a_service("a", journal, flavour, execute=Then(Fails(error), Polite()))
    other = a_service("other", journal, "async", execute=Polite())
    with a_host(service, other) as host:
        journal.wait_for("a.execute", times=2)
        assert status(host, "a").restarts == 1
    assert "crashed" in caplog.text
    assert status(host, "other").state is ServiceState.STOPPED


def test_an_exit_in_one_coroutine_leaves_the_coroutines_of_others_alone(journal: Journal) -> None:
    """Lifecycle 8: the event loop outlives it."""

    class Waits(BackgroundService):
        def __init__(self) -> None:
            self.go = CancellationToken()
            self.gone = CancellationToken()

        async def execute(self, stopping: CancellationToken) -> None:
            await self.go.wait_async()
            self.gone.cancel()

    waits = Waits()
    leaves = a_service(
        "leaves", journal, "async", execute=Then(Does(lambda _: sys.exit(1)), Polite())
    )
    with a_host(waits, leaves):
        journal.wait_for("leaves.execute", times=2)
        waits.go.cancel()
        assert waits.gone.wait(PATIENCE), "the loop is dead"


def test_a_service_that_crashed_is_not_ready_until_it_runs_again(journal: Journal) -> None:
    """Lifecycle 2 and 8: RESTARTING is not ready."""
    service = supervised(
        a_service("a", journal, execute=CRASH), backoff=Backoff(initial=PATIENCE, maximum=PATIENCE)
    )
    with a_host(service) as host:
        until_state(host, "a", ServiceState.RESTARTING)
        assert not status(host, "a").ready
        assert not ServiceState.RESTARTING.is_healthy


def test_a_stop_does_not_wait_for_the_backoff(journal: Journal) -> None:
    """Lifecycle 8: the wait before the next run can be interrupted."""
    service = supervised(
        a_service("a", journal, execute=CRASH), backoff=Backoff(initial=900.0, maximum=900.0)
    )
    host = a_host(service, shutdown_timeout=PATIENCE)
    host.start()
    until_state(host, "a", ServiceState.RESTARTING)
    Runner(host.stop).result()
    assert status(host, "a").state is ServiceState.STOPPED
    assert journal.count("a.execute") == 1


def test_the_pause_grows_with_the_failures(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Lifecycle 8: exponential backoff."""
    asked: list[int] = []

    class Remembers(Backoff):
        def delay(self, failures: int, *_: Any) -> float:
            asked.append(failures)
            return 0.0

    service = a_service("a", journal, execute=Then(CRASH, CRASH, CRASH, Polite()))
    with a_host(supervised(service, backoff=Remembers())):
        journal.wait_for("a.execute", times=4)
    assert asked == [1, 2, 3]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("restart", ["never", "on-failure"])
def test_execute_may_return(
    journal: Journal, announced: list[tuple[str, str]], flavour: str, restart: str
) -> None:
    """Lifecycle 8: a normal end, which nobody restarts."""
    with a_host(
        supervised(a_service("a", journal, flavour, execute=Fine()), restart=restart)
    ) as host:
        until_state(host, "a", ServiceState.COMPLETED)
        assert ServiceState.COMPLETED.is_healthy
        assert not host.lifetime.stop_requested.is_cancelled
    assert [state for _, state in announced] == [
        "starting",
        "running",
        "completed",
        "stopping",
        "stopped",
    ]
    assert journal.count("a.execute") == 1
    assert journal.count("a.stop") == 1


def test_always_runs_again_what_has_returned(journal: Journal) -> None:
    """Lifecycle 8: however often it returns, which is no failure."""
    service = a_service("a", journal, execute=Fine())
    with a_host(supervised(service, restart="always", max_restarts=1)) as host:
        journal.wait_for("a.execute", times=5)
        assert not host.lifetime.stop_requested.is_cancelled
        assert status(host, "a").last_error is None


def test_never_means_never(journal: Journal, announced: list[tuple[str, str]]) -> None:
    """Lifecycle 8: the first crash is the last."""
    host = a_host(supervised(a_service("a", journal, execute=CRASH), restart="never"))
    Runner(host.run).result()
    assert journal.count("a.execute") == 1
    assert ("a", "failed") in announced
    assert ("a", "restarting") not in announced


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_more_restarts_than_allowed_stop_a_worker(
    journal: Journal, caplog: pytest.LogCaptureFixture, limit: int
) -> None:
    """Lifecycle 8: past the intensity the host stops, and tells whose failure it was."""
    host = a_host(
        supervised(a_service("a", journal, execute=CRASH), max_restarts=limit),
        a_service("b", journal, execute=Polite()),
    )
    Runner(host.run).result()
    assert journal.count("a.execute") == limit + 1
    assert host.lifetime.failure is not None
    assert "'a'" in host.lifetime.failure
    [record] = [found for found in caplog.records if found.levelno == logging.CRITICAL]
    assert "'a' failed for good" in record.getMessage()
    assert journal.count("b.stop") == journal.count("b.close") == journal.count("a.close") == 1


def test_a_web_process_keeps_serving(journal: Journal) -> None:
    """Lifecycle 8: it goes on without the service, which is reported as failed and unhealthy."""
    failing = supervised(a_service("a", journal, execute=CRASH), max_restarts=1)
    host = a_host(failing, a_service("b", journal, execute=Polite()), stop_on_failure=False)
    with host:
        until_state(host, "a", ServiceState.FAILED)
        assert failing.execution is not None
        assert failing.execution.finished.wait(PATIENCE)
        assert not ServiceState.FAILED.is_healthy
        assert not host.lifetime.stop_requested.is_cancelled
        assert status(host, "b").state is ServiceState.RUNNING
        assert status(host, "a").last_error == "ValueError: out of luck"
    assert journal.count("a.stop") == 1


def test_the_first_failure_is_the_reason(journal: Journal) -> None:
    """Lifecycle 8: what fails while the host stops changes nothing of it."""
    host = a_host(a_service("a", journal))
    host.lifetime.escalate("the first")
    host.lifetime.escalate("the second")
    assert host.lifetime.failure == "the first"
    Runner(host.run).result()


def test_a_worker_that_is_to_be_replaced_stops(journal: Journal) -> None:
    """Lifecycle 8: that is no failure."""
    host = a_host(a_service("a", journal, execute=Polite()))
    host.lifetime.started.register(lambda: host.lifetime.recycle("it has grown"))
    Runner(host.run).result()
    assert (host.lifetime.recycling, host.lifetime.failure) == ("it has grown", None)
    assert journal.count("a.close") == 1


def test_a_web_process_that_is_to_be_replaced_keeps_serving(journal: Journal) -> None:
    """Lifecycle 8: its server decides how long it lives."""
    with a_host(a_service("a", journal, execute=Polite()), stop_on_failure=False) as host:
        host.lifetime.recycle("it has grown")
        assert not host.lifetime.stop_requested.is_cancelled


def test_a_host_that_was_asked_to_stop_is_not_to_be_replaced(journal: Journal) -> None:
    """Lifecycle 8: what comes to light while it stops changes nothing of that."""
    host = a_host(a_service("a", journal, execute=Polite()))
    host.lifetime.stop()
    host.lifetime.recycle("it has grown")
    assert host.lifetime.recycling is None


def test_a_service_is_closed_once_however_often_it_ran(journal: Journal) -> None:
    """Lifecycle 8: a restart is of `execute` alone, not of the whole service."""
    service = a_service("a", journal, execute=Then(CRASH, CRASH, Polite()))
    with a_host(service):
        journal.wait_for("a.execute", times=3)
    assert journal.count("a.start") == journal.count("a.stop") == journal.count("a.close") == 1


@pytest.mark.parametrize("act", [Fine(), CRASH], ids=["returns", "crashes"])
def test_a_run_that_ends_as_the_stop_begins_is_not_run_again(journal: Journal, act: Act) -> None:
    """Lifecycle 8: a restart policy is for services that are to run."""
    service = supervised(a_service("a", journal, execute=act), restart="always")

    def stop_first(token: CancellationToken) -> None:
        token.wait()
        act.plain(token)

    service.service.acts["execute"] = Does(stop_first)
    host = a_host(service)
    host.start()
    error = Runner(host.stop)
    error.end()
    assert isinstance(error.error, ExceptionGroup) == (act is CRASH)
    assert journal.count("a.execute") == 1


def test_facts_that_cannot_be_told_harm_nobody(journal: Journal) -> None:
    """What a service reports of itself is for the eye; an error in it is not the host's."""

    class Boastful(HostedService):
        def facts(self) -> dict[str, Any]:
            raise ValueError("nothing to tell")

    with a_host(Boastful(), a_service("b", journal)) as host:
        assert [found.name for found in host.services()] == ["Boastful", "b"]


def test_services_of_two_hosts_do_not_meet(journal: Journal) -> None:
    """Each host has a loop and a lifetime of its own."""
    with a_host(a_service("a", journal, "async", execute=Polite())) as first:
        with a_host(a_service("b", journal, "async", execute=Polite())):
            names = [thread.name for thread in threading.enumerate()]
            assert names.count("hosting:loop") == 2
        assert not first.lifetime.stop_requested.is_cancelled
