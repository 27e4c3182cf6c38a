"""Services that play a part, and a journal of who did what: so a test reads as a sentence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from hosting.backoff import Backoff
from hosting.cancellation import CancellationToken
from hosting.conf import HostingSettings
from hosting.host import Host
from hosting.services import BackgroundService, HostedService, ServiceState, ServiceStatus
from hosting.supervision import Policy, SupervisedService

#: Seconds to wait for a fact: enough for a loaded machine, never waited for in full otherwise.
PATIENCE = 20.0

HOOKS = ("starting", "start", "started", "stopping", "stop", "stopped", "close")


class Journal:
    """Lines that threads write, in order; a test waits for the line that it needs."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()

    def note(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()

    def wait_for(self, line: str, times: int = 1) -> None:
        with self._changed:
            found = self._changed.wait_for(lambda: self._lines.count(line) >= times, PATIENCE)
            assert found, f"{line!r} x {times} never came, there is {self._lines}"

    def count(self, line: str) -> int:
        return self.lines.count(line)

    @property
    def lines(self) -> list[str]:
        with self._changed:
            return list(self._lines)


class Act:
    """What a service does in one of its methods, as a plain function or as a coroutine."""

    def plain(self, token: CancellationToken) -> None:
        """Do it on a thread."""

    async def coroutine(self, token: CancellationToken) -> None:
        """Do it on the event loop."""
        self.plain(token)


class Fine(Act):
    """Does nothing and returns."""


class Polite(Act):
    """Goes on until its token is cancelled."""

    def plain(self, token: CancellationToken) -> None:
        token.wait()

    async def coroutine(self, token: CancellationToken) -> None:
        await token.wait_async()


class Deaf(Act):
    """Hangs until the test releases it, whatever its token says."""

    def __init__(self, release: CancellationToken) -> None:
        self.release = release

    def plain(self, token: CancellationToken) -> None:
        self.release.wait()

    async def coroutine(self, token: CancellationToken) -> None:
        await self.release.wait_async()


class Blocking(Deaf):
    """As `Deaf`, and as a coroutine it holds up the event loop."""

    async def coroutine(self, token: CancellationToken) -> None:
        self.plain(token)


class Fails(Act):
    """Raises the error."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def plain(self, token: CancellationToken) -> None:
        raise self.error


class Does(Act):
    """Calls the function with the token."""

    def __init__(self, function: Callable[[CancellationToken], object]) -> None:
        self.function = function

    def plain(self, token: CancellationToken) -> None:
        self.function(token)


class Then(Act):
    """Does one thing the first time, the next the second time, and the last one ever after."""

    def __init__(self, *acts: Act) -> None:
        self._acts = list(acts)

    def _next(self) -> Act:
        return self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]

    def plain(self, token: CancellationToken) -> None:
        self._next().plain(token)

    async def coroutine(self, token: CancellationToken) -> None:
        await self._next().coroutine(token)


class _Part:
    """The part of a service: writes `label.method` in the journal, then acts."""

    def __init__(self, label: str, journal: Journal, acts: Mapping[str, Act]) -> None:
        self.label = label
        self.journal = journal
        self.acts = acts

    def play(self, method: str, token: CancellationToken) -> None:
        self.journal.note(f"{self.label}.{method}")
        self.acts.get(method, Fine()).plain(token)

    async def aplay(self, method: str, token: CancellationToken) -> None:
        self.journal.note(f"{self.label}.{method}")
        await self.acts.get(method, Fine()).coroutine(token)


class Plain(_Part, HostedService):
    """Every method is a plain function."""

    def starting(self, cancel: CancellationToken) -> None:
        self.play("starting", cancel)

    def start(self, cancel: CancellationToken) -> None:
        self.play("start", cancel)

    def started(self, cancel: CancellationToken) -> None:
        self.play("started", cancel)

    def stopping(self, cancel: CancellationToken) -> None:
        self.play("stopping", cancel)

    def stop(self, cancel: CancellationToken) -> None:
        self.play("stop", cancel)

    def stopped(self, cancel: CancellationToken) -> None:
        self.play("stopped", cancel)

    def close(self, cancel: CancellationToken) -> None:
        self.play("close", cancel)


class PlainWorker(Plain, BackgroundService):
    """Plain functions, with a life of its own."""

    def execute(self, stopping: CancellationToken) -> None:
        self.play("execute", stopping)


class Async(_Part, HostedService):
    """Every method is a coroutine function."""

    async def starting(self, cancel: CancellationToken) -> None:
        await self.aplay("starting", cancel)

    async def start(self, cancel: CancellationToken) -> None:
        await self.aplay("start", cancel)

    async def started(self, cancel: CancellationToken) -> None:
        await self.aplay("started", cancel)

    async def stopping(self, cancel: CancellationToken) -> None:
        await self.aplay("stopping", cancel)

    async def stop(self, cancel: CancellationToken) -> None:
        await self.aplay("stop", cancel)

    async def stopped(self, cancel: CancellationToken) -> None:
        await self.aplay("stopped", cancel)

    async def close(self, cancel: CancellationToken) -> None:
        await self.aplay("close", cancel)


class AsyncWorker(Async, BackgroundService):
    """Coroutine functions, with a life of its own."""

    async def execute(self, stopping: CancellationToken) -> None:
        await self.aplay("execute", stopping)


PLAIN, ASYNC = "plain", "async"
FLAVOURS = (PLAIN, ASYNC)


def a_service(label: str, journal: Journal, flavour: str = PLAIN, **acts: Act) -> HostedService:
    """A service that acts as told; it has an `execute` if it is told what to do there."""
    if "execute" in acts:
        worker = PlainWorker if flavour == PLAIN else AsyncWorker
        return worker(label, journal, acts)
    return (Plain if flavour == PLAIN else Async)(label, journal, acts)


def supervised(service: HostedService, **policy: Any) -> SupervisedService:
    """The service, named by its label if it has one, restarted at once when it crashes."""
    name = getattr(service, "label", type(service).__name__)
    return SupervisedService(service, name, Policy(**{"backoff": AT_ONCE, **policy}))


AT_ONCE = Backoff(initial=0.0)


def a_host(
    *services: HostedService | SupervisedService, stop_on_failure: bool = True, **settings: Any
) -> Host:
    """A host of these services; the settings are those of `HostingSettings`."""
    return Host(
        [
            service if isinstance(service, SupervisedService) else supervised(service)
            for service in services
        ],
        HostingSettings(**settings),
        stop_on_failure=stop_on_failure,
    )


def status(host: Host, name: str) -> ServiceStatus:
    return next(status for status in host.services() if status.name == name)


def until(fact: Callable[[], object]) -> None:
    """Wait for a fact of which nobody tells."""
    looks = threading.Event()
    for _ in range(int(PATIENCE / 0.005)):
        if fact():
            return
        looks.wait(0.005)
    raise AssertionError("the fact never came true")


def until_state(host: Host, name: str, state: ServiceState) -> None:
    until(lambda: status(host, name).state is state)


class Runner:
    """Makes one call on a thread and keeps what came of it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.error: BaseException | None = None
        self.value: Any = None
        self._call = call
        self._thread = threading.Thread(target=self._run, name="test:runner", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.value = self._call()
        except BaseException as error:
            self.error = error

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        """Wait for its end, whatever came of it."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the call never ended"

    def result(self) -> Any:
        """What the call gave; raises what it raised."""
        self.end()
        if self.error is not None:
            raise self.error
        return self.value


def on_threads(*calls: Callable[[], Any]) -> list[Runner]:
    """Make all these calls at once, wait for all of them, and give what came of each."""
    runners = [Runner(call) for call in calls]
    for runner in runners:
        runner.end()
    return runners


_REPORTED: set[threading.Thread] = set()


def service_threads() -> list[threading.Thread]:
    """The threads of hosts that are alive now; the alarm's live as long as the process."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("hosting:")
        and not thread.name.startswith("hosting:alarm")
        and thread not in _REPORTED
    ]


def assert_no_threads_left() -> None:
    """Whoever is left behind is reported once, lest every later test fail for it."""
    for thread in service_threads():
        thread.join(PATIENCE / 4)
    left = service_threads()
    _REPORTED.update(left)
    assert not left, "threads of services were left behind"


def run(coroutine: Any) -> Any:
    """Run a coroutine to its end, with patience."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))
