"""Fixtures of the queue's tests: the stores, and workers that run without a host."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections

from hosting.cancellation import CancellationToken
from hosting.compat import task_enqueued, task_finished, task_started
from hosting.lifetime import HostLifetime
from hosting.queues import TaskWorker
from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.orm import GenericStore
from hosting.services.base import Unhosted
from tests.queues import tasks


def until(fact: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until the fact is so, and fail if it is not in time."""
    never = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if fact():
            return
        never.wait(0.005)
    raise AssertionError("It did not become so in time.")


@pytest.fixture(params=["of the vendor", "generic"])
def store(request: pytest.FixtureRequest, transactional_db: None) -> Store:
    """Every store that can be used on the database of this run."""
    return store_for("default") if request.param == "of the vendor" else GenericStore("default")


@pytest.fixture
def in_threads() -> Callable[..., list[Any]]:
    """Call functions at the same time, each on a thread with a connection of its own."""

    def run(*functions: Callable[[], Any]) -> list[Any]:
        ready = threading.Barrier(len(functions))

        def call(function: Callable[[], Any]) -> Any:
            connection.ensure_connection()
            ready.wait(10)
            try:
                return function()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(functions)) as pool:
            return [future.result(60) for future in [pool.submit(call, f) for f in functions]]

    return run


class Runtime(Unhosted):
    """Lends a worker what a host would, and notes that it became ready."""

    def __init__(self) -> None:
        self.lifetime = HostLifetime()
        self.is_ready = threading.Event()
        self.beats = 0
        self.conditions: list[str] = []

    def beat(self, pause: float = 0.0, part: str = "") -> None:
        self.beats += 1

    def degraded(self, reason: str) -> None:
        self.conditions.append(reason)

    def healthy(self) -> None:
        self.conditions.append("")

    def ready(self) -> None:
        self.is_ready.set()


class RunningWorker:
    """A worker whose `execute` runs on a thread, as in a host."""

    def __init__(self, **options: Any) -> None:
        self.service = TaskWorker(**options)
        self.runtime = Runtime()
        self.service.attach("jobs", self.runtime)
        self.stopping = CancellationToken()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.service.execute(self.stopping)
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()

    def wait_until_ready(self) -> None:
        assert self.runtime.is_ready.wait(20)

    def stop(self, seconds: float | None = None) -> None:
        """Stop as a host does, with this deadline; returns when `execute` has."""
        cancel = CancellationToken()
        if seconds is not None:
            cancel.cancel_after(seconds)
        self.stopping.cancel()
        self.service.stop(cancel)
        self.thread.join(20)
        assert not self.thread.is_alive()


def has_threads() -> bool:
    """Whether there is a thread that executes jobs of a running worker, or tells of them."""
    return any(thread.name.startswith("hosting:jobs:") for thread in threading.enumerate())


@pytest.fixture
def worker(transactional_db: None) -> Iterator[Callable[..., RunningWorker]]:
    """Start workers, which are stopped at the end; one that crashed fails the test."""
    started: list[RunningWorker] = []

    def start(**options: Any) -> RunningWorker:
        started.append(RunningWorker(**{"poll_interval": 0.05, **options}))
        return started[-1]

    yield start
    for gate in tasks.gates.values():
        gate.opened.set()
    for each in started:
        each.stop()
    until(lambda: not has_threads())
    assert [each.error for each in started] == [None] * len(started)


@pytest.fixture(autouse=True)
def fresh_tasks() -> None:
    tasks.gates.clear()
    tasks.calls.clear()


class Heard:
    """The signals of tasks, in the order in which they came."""

    def __init__(self) -> None:
        self.signals: list[tuple[str, Any, Any]] = []

    def of(self, result: Any) -> list[tuple[str, Any, Any]]:
        """Those of one result; "enqueued" first, as a worker may be quicker than who tells that."""
        signals = [signal for signal in self.signals if signal[2].id == result.id]
        return sorted(signals, key=lambda signal: signal[0] != "enqueued")

    def has_finished(self, *results: Any) -> bool:
        ended = {result.id for name, _, result in self.signals if name == "finished"}
        return ended >= {result.id for result in results}


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()

    def receiver(name: str) -> Callable[..., None]:
        def receive(sender: Any, task_result: Any, **kwargs: Any) -> None:
            heard.signals.append((name, sender, task_result))

        return receive

    receivers = {
        task_enqueued: receiver("enqueued"),
        task_started: receiver("started"),
        task_finished: receiver("finished"),
    }
    for signal, receive in receivers.items():
        signal.connect(receive)
    yield heard
    for signal, receive in receivers.items():
        signal.disconnect(receive)
