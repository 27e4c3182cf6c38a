"""One suite, the lifecycle contract, over every service that ships and over those of the sample."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import pty
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import hosting
import messages_app
from hosting.background import BackgroundTaskQueue, QueuedHostedService
from hosting.cancellation import CancellationToken
from hosting.fleet import FleetReporter
from hosting.leadership.election import Election
from hosting.process.console import Console
from hosting.process.recycling import Limits, Recycling
from hosting.queues import TaskWorker
from hosting.queues.scheduler import Scheduler
from hosting.scope import Scope
from hosting.services import BackgroundService, HostedService, ScopedService, TimedService
from hosting.testing import assert_lifecycle, started
from messages_app import services as sample
from tests.host.helpers import assert_no_threads_left

pytestmark = pytest.mark.django_db(transaction=True)


class Bare(HostedService):
    pass


class Background(BackgroundService):
    def execute(self, stopping: CancellationToken) -> None:
        stopping.wait()


class BackgroundAsync(BackgroundService):
    async def execute(self, stopping: CancellationToken) -> None:
        await stopping.wait_async()


class Returning(BackgroundService):
    def execute(self, stopping: CancellationToken) -> None:
        pass


class Timed(TimedService):
    interval = 0.001

    def tick(self, stopping: CancellationToken) -> None: ...


class TimedAsync(TimedService):
    cron = "* * * * *"

    async def tick(self, stopping: CancellationToken) -> None: ...


class Scoped(ScopedService):
    interval = 0.001

    def work(self, scope: Scope, stopping: CancellationToken) -> None: ...


class ScopedAsync(ScopedService):
    async def work(self, scope: Scope, stopping: CancellationToken) -> None: ...


#: How the suite makes one of each; an abstract class has a subclass here that ships as its example.
MAKERS: dict[type[HostedService], list[Callable[[], HostedService]]] = {
    HostedService: [Bare],
    BackgroundService: [Background, BackgroundAsync, Returning],
    TimedService: [Timed, TimedAsync],
    ScopedService: [Scoped, ScopedAsync],
    QueuedHostedService: [
        lambda: QueuedHostedService(queue=BackgroundTaskQueue()),
        lambda: QueuedHostedService(concurrency=3, queue=BackgroundTaskQueue()),
    ],
    TaskWorker: [TaskWorker, lambda: TaskWorker(concurrency=3)],
    Scheduler: [Scheduler],
    FleetReporter: [lambda: FleetReporter("worker", lambda: [])],
    Election: [lambda: Election(15)],
    Console: [Console],
    Recycling: [lambda: Recycling(Limits(jobs=1)), lambda: Recycling(Limits(memory=10_000))],
    sample.TimedHostedService: [sample.TimedHostedService],
    sample.ScopedHostedService: [sample.ScopedHostedService],
    sample.MonitorLoop: [sample.MonitorLoop],
}


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".migrations" not in found.name:
            yield importlib.import_module(found.name)


def service_classes(package: ModuleType) -> set[type[HostedService]]:
    """The public service classes that are defined in a package."""
    return {
        value
        for module in modules(package)
        for name, value in vars(module).items()
        if inspect.isclass(value)
        and issubclass(value, HostedService)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


def is_meant_to_run(kind: type[HostedService]) -> bool:
    """Not so of a class that is only the base of others, such as `UnitService`."""
    return kind.__name__ in hosting.__all__ or not inspect.isabstract(kind)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal on which nobody types."""
    ours, theirs = pty.openpty()
    with open(ours), open(theirs) as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        yield


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    yield
    assert_no_threads_left()


@pytest.mark.parametrize("package", [hosting, messages_app], ids=lambda package: package.__name__)
def test_no_service_that_ships_is_forgotten(package: ModuleType) -> None:
    found = {kind for kind in service_classes(package) if is_meant_to_run(kind)}
    assert found
    assert not found - MAKERS.keys(), "add the new service to MAKERS"


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        pytest.param(kind, make, id=f"{kind.__name__}-{number}")
        for kind, makers in MAKERS.items()
        for number, make in enumerate(makers)
    ],
)
def test_it_keeps_the_lifecycle_contract(kind: Any, make: Callable[[], HostedService]) -> None:
    """Lifecycle 7: stop before start, twice, from any thread; a second start; closed once."""
    assert isinstance(make(), kind)
    assert_lifecycle(make)


def test_all_of_them_live_together() -> None:
    """Lifecycle 1 and 4: one host of everything that ships starts and stops cleanly."""
    services = [make() for makers in MAKERS.values() for make in makers]
    with started(*services) as host:
        assert len(host.services()) == len(services)
        assert all(status.state.is_healthy for status in host.services())
