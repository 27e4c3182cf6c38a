"""`HostedService` and `BackgroundService`: what a host starts, watches over and stops.

Every method may be a plain function, which runs on a thread of the service, or a coroutine
function, which runs on the host's one event loop thread. The hooks and `close` may be declared with
or without the token.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from hosting.cancellation import CancellationToken
from hosting.lifetime import HostLifetime
from hosting.services.lease import Lease, Unleased


class Runtime(Protocol):
    """What a host lends to a service that it runs."""

    lifetime: HostLifetime
    lease: Lease

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call the function here, or run the coroutine function on the event loop."""

    def ready(self) -> None:
        """Note that the service is ready."""

    def beat(self, pause: float = 0.0, part: str = "") -> None:
        """Note a sign of life of the service, or of a part of it (see `HostedService.beat`)."""

    def degraded(self, reason: str) -> None:
        """Note that the service is degraded."""

    def healthy(self) -> None:
        """Note that the service is degraded no more."""


class Unhosted:
    """The runtime of a service that no host runs, as in a unit test that calls its methods."""

    def __init__(self) -> None:
        self.lifetime = HostLifetime()
        self.lease: Lease = Unleased()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        result = function(*args)
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    def ready(self) -> None:
        pass

    def beat(self, pause: float = 0.0, part: str = "") -> None:
        pass

    def degraded(self, reason: str) -> None:
        pass

    def healthy(self) -> None:
        pass


class HostedService:
    """Something with a start and a stop.

    The host calls, in this order: `starting`, `start`, `started`; and at the end `stopping`,
    `stop`, `stopped`, and always once `close`, also when the start failed. The constructor keeps
    values and acquires nothing: `start` acquires, `stop` and `close` give back.
    """

    #: Set by the host: the entry's NAME.
    name: str = ""

    #: Whether the service is ready only once it has called `ready()`; otherwise it is ready as soon
    #: as it has started.
    reports_ready: ClassVar[bool] = False

    #: Seconds within which the service gives a sign of life (see `beat`) while it runs; without one
    #: it counts as stuck. None: nobody expects any. The entry's WATCHDOG wins.
    watchdog: float | None = None

    _attached: Runtime | None = None

    def starting(self, cancel: CancellationToken) -> Any:
        """Called for every service before the first `start`."""

    def start(self, cancel: CancellationToken) -> Any:
        """Begin; `cancel` is cancelled if the host gives up starting. Raise to abort the start."""

    def started(self, cancel: CancellationToken) -> Any:
        """Called for every service after the last `start`."""

    def stopping(self, cancel: CancellationToken) -> Any:
        """Called for every service before the first `stop`."""

    def stop(self, cancel: CancellationToken) -> Any:
        """End; `cancel` is cancelled when the time for a graceful end is over.

        `cancel.remaining` tells the seconds left. May be called before `start`, and more than once.
        """

    def stopped(self, cancel: CancellationToken) -> Any:
        """Called for every service after the last `stop`."""

    def close(self) -> Any:
        """Give back what is still held; called exactly once, whatever happened before."""

    def ready(self) -> None:
        """Tell the host that the service does its work now (see `reports_ready`)."""
        self._runtime.ready()

    def beat(self, pause: float = 0.0) -> None:
        """Give a sign of life; the next is due within `pause` seconds and the `watchdog` after."""
        self._runtime.beat(pause)

    def degraded(self, reason: str) -> None:
        """Tell that the service does its work badly, or not all of it, until `healthy()`."""
        self._runtime.degraded(reason)

    def healthy(self) -> None:
        """Tell that the service does its work as it should, after `degraded()`."""
        self._runtime.healthy()

    @property
    def lifetime(self) -> HostLifetime:
        """The milestones of the host that runs this service, and the way to stop it."""
        return self._runtime.lifetime

    @property
    def lease(self) -> Lease:
        """The lease under which this service runs; one that is always held, if it needs none."""
        return self._runtime.lease

    @property
    def _runtime(self) -> Runtime:
        if self._attached is None:
            self._attached = Unhosted()
        return self._attached

    def facts(self) -> Mapping[str, Any]:
        """What the service tells of itself to status pages: JSON values under stable names."""
        return {}

    def attach(self, name: str, runtime: Runtime) -> None:
        """Called by the host before anything else."""
        self.name = name
        self._attached = runtime

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with these OPTIONS, one sentence each; constructs nothing."""
        try:
            parameters = inspect.signature(cls).parameters
            inspect.signature(cls).bind(**options)
        except TypeError as error:
            yield _explain(str(error), options, list(parameters))


class BackgroundService(HostedService, ABC):
    """A service whose life is one call of `execute`."""

    @abstractmethod
    def execute(self, stopping: CancellationToken) -> Any:
        """Do the work until `stopping` is cancelled; returning earlier is a normal end.

        What it raises is logged and handled by the restart policy of the service's entry.
        """


def _explain(reason: str, options: Mapping[str, Any], allowed: list[str]) -> str:
    words = f"OPTIONS do not fit the constructor: {reason}"
    for unknown in (key for key in options if key not in allowed):
        near = difflib.get_close_matches(unknown, allowed, n=1)
        words += f"; did you mean {near[0]!r}?" if near else ""
    return f"{words}; allowed: {', '.join(map(repr, allowed)) or 'no options'}"
