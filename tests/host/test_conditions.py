"""How services are: degraded by their own account, or stuck as they give no sign of life."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hosting.background import BackgroundTaskQueue, QueuedHostedService
from hosting.cancellation import CancellationToken
from hosting.host import Host
from hosting.scope import Scope
from hosting.services import (
    BackgroundService,
    Condition,
    HostedService,
    ScopedService,
    ServiceState,
    TimedService,
)
from hosting.signals import service_condition_changed
from tests.host.helpers import (
    ASYNC,
    Does,
    Fails,
    Journal,
    Polite,
    Then,
    a_host,
    a_service,
    status,
    supervised,
    until,
    until_state,
)

#: Seconds of a watchdog in these tests: soon over, yet long for one who has anything to say.
SHORT = 0.3


@pytest.fixture
def changes() -> Iterator[list[tuple[str, str, str]]]:
    """The changes of condition that were announced: the service, the new one, its reason."""
    found: list[tuple[str, str, str]] = []

    def note(service: str, new: Condition, reason: str, **_: Any) -> None:
        found.append((service, new.value, reason))

    service_condition_changed.connect(note)
    yield found
    service_condition_changed.disconnect(note)


class Silent(BackgroundService):
    """Says nothing until the test lets it."""

    def __init__(self) -> None:
        self.may_speak = CancellationToken()
        self.may_go_on = CancellationToken()

    def execute(self, stopping: CancellationToken) -> None:
        self.wait_in_vain()
        self.beat(3600)
        stopping.wait()

    def wait_in_vain(self) -> None:
        self.may_speak.wait()


def condition(host: Host, name: str) -> str:
    return status(host, name).condition.value


def until_stuck(host: Host, name: str) -> None:
    until(lambda: condition(host, name) == "stuck")


def test_a_service_tells_that_it_is_degraded_and_healthy_again(
    journal: Journal, changes: list[tuple[str, str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    service = a_service("a", journal, execute=Polite())
    with a_host(service) as host:
        assert status(host, "a").is_healthy
        service.degraded("no more than half of the feeds answer")
        assert condition(host, "a") == "degraded"
        assert status(host, "a").reason == "no more than half of the feeds answer"
        assert status(host, "a").state is ServiceState.RUNNING
        assert not status(host, "a").is_healthy
        service.healthy()
        assert status(host, "a").is_healthy
        assert status(host, "a").reason == ""
    assert changes == [
        ("a", "degraded", "no more than half of the feeds answer"),
        ("a", "healthy", ""),
    ]
    assert "Service 'a' is degraded: no more than half of the feeds answer" in caplog.text
    assert "Service 'a' is healthy again" in caplog.text


def test_what_is_said_in_the_start_counts(journal: Journal) -> None:
    service = a_service("a", journal, start=Does(lambda _: service.degraded("no cache")))
    with a_host(service) as host:
        assert condition(host, "a") == "degraded"


def test_what_was_said_before_a_crash_is_forgotten(journal: Journal) -> None:
    service = a_service(
        "a", journal, execute=Then(Does(lambda _: degrade_and_crash(service)), Polite())
    )
    with a_host(service) as host:
        journal.wait_for("a.execute", times=2)
        until_state(host, "a", ServiceState.RUNNING)
        assert condition(host, "a") == "healthy"


def degrade_and_crash(service: HostedService) -> None:
    service.degraded("about to crash")
    raise ValueError("out of luck")


def test_a_service_that_does_not_run_cannot_be_degraded(journal: Journal) -> None:
    service = a_service("a", journal)
    host = a_host(service)
    service.degraded("too early")
    with host:
        assert condition(host, "a") == "healthy"
    service.degraded("too late")
    assert condition(host, "a") == "healthy"


def test_a_service_without_a_host_may_say_what_it_likes() -> None:
    service = HostedService()
    service.degraded("alone")
    service.healthy()
    service.beat(1)


@pytest.mark.parametrize(("restart", "reason"), [("never", "has failed")])
def test_a_service_that_crashed_is_down(journal: Journal, restart: str, reason: str) -> None:
    service = supervised(
        a_service("a", journal, execute=Fails(ValueError("secret"))), restart=restart
    )
    with a_host(service, stop_on_failure=False) as host:
        until_state(host, "a", ServiceState.FAILED)
        assert (condition(host, "a"), status(host, "a").reason) == ("down", reason)


def test_a_silent_service_is_stuck_and_named_with_its_stack(
    changes: list[tuple[str, str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    service = Silent()
    service.watchdog = SHORT
    with a_host(service) as host:
        until(lambda: "is stuck" in caplog.text)
        found = status(host, "Silent")
        assert found.condition is Condition.STUCK
        assert found.reason.startswith("no sign of life for 0.")
        assert found.reason.endswith(" s, allowed: 0.3 s")
        assert found.state is ServiceState.RUNNING
        service.may_speak.cancel()
        until(lambda: status(host, "Silent").is_healthy)
        assert status(host, "Silent").beat_at is not None
        until(lambda: len(changes) == 2)
    [record] = [each for each in caplog.records if "is stuck" in each.message]
    assert "in wait_in_vain" in record.getMessage()
    assert record.levelno == logging.ERROR
    assert record.service == "Silent"
    assert [(name, new) for name, new, _ in changes] == [
        ("Silent", "stuck"),
        ("Silent", "healthy"),
    ]


def test_the_entry_decides_before_the_class(journal: Journal) -> None:
    service = Silent()
    service.watchdog = 3600
    with a_host(supervised(service, watchdog=SHORT)) as host:
        until_stuck(host, "Silent")
        service.may_speak.cancel()


def test_nobody_is_stuck_while_the_host_stops() -> None:
    """A stop has a deadline of its own."""
    service = Silent()
    service.watchdog = SHORT
    host = a_host(service)
    host.start()
    until_stuck(host, "Silent")
    service.may_speak.cancel()
    host.stop()
    assert status(host, "Silent").is_healthy


class Timed(TimedService):
    def __init__(self, hang: Callable[[], object] = int) -> None:
        super().__init__(interval=3600)
        self.hang = hang

    def tick(self, stopping: CancellationToken) -> None:
        self.hang()


class TimedAsync(TimedService):
    def __init__(self, hang: CancellationToken) -> None:
        super().__init__(interval=3600)
        self.hang = hang

    async def tick(self, stopping: CancellationToken) -> None:
        await self.hang.wait_async()


class Scoped(ScopedService):
    def __init__(self, hang: Callable[[], object] = int) -> None:
        super().__init__(interval=3600)
        self.hang = hang

    def work(self, scope: Scope, stopping: CancellationToken) -> None:
        self.hang()


def watched(*services: HostedService) -> list[Any]:
    return [supervised(service, watchdog=SHORT) for service in services]


def test_services_that_wait_for_work_are_not_stuck(release: CancellationToken) -> None:
    """However long that takes: here a service that began last has long been stuck."""
    queue = BackgroundTaskQueue()
    waiting = [Timed(), Scoped(), QueuedHostedService(concurrency=2, queue=queue)]
    last = Silent()
    with a_host(*watched(*waiting, last)) as host:
        until_stuck(host, "Silent")
        assert [condition(host, type(each).__name__) for each in waiting] == ["healthy"] * 3
        last.may_speak.cancel()


def test_services_whose_work_does_not_end_are_stuck(release: CancellationToken) -> None:
    queue = BackgroundTaskQueue()
    queue.enqueue(lambda _: release.wait())
    services = [
        Timed(release.wait),
        TimedAsync(release),
        Scoped(release.wait),
        QueuedHostedService(concurrency=2, queue=queue),  # one consumer hangs, the other is idle
    ]
    with a_host(*watched(*services)) as host:
        for service in services:
            until_stuck(host, type(service).__name__)
        release.cancel()


def test_a_coroutine_gives_signs_of_life_as_well(journal: Journal) -> None:
    service = a_service("a", journal, ASYNC, execute=Does(lambda _: service.beat(3600)))
    with a_host(supervised(service, restart="never", watchdog=SHORT)) as host:
        until_state(host, "a", ServiceState.COMPLETED)
        assert status(host, "a").beat_at is not None
