"""One service under supervision: its threads and its restarts.

The host decides when a service starts and stops. What happens in between is decided here:
`execute` runs on a thread of the service; when it ends, the restart policy says whether it is run
again, after a backoff, or whether the service has completed or failed. A service that fails for
good is handed to the host, which decides what that means for the process (see `hosting.host`).
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hosting.backoff import Backoff, Intensity
from hosting.cancellation import CANCELLATIONS, CancellationToken
from hosting.conf import ALWAYS, NEVER, ON_FAILURE
from hosting.context import ServiceWork
from hosting.exceptions import HostStateError
from hosting.lifetime import HostLifetime
from hosting.loop import CoroutineCall, EventLoopThread
from hosting.services import BackgroundService, HostedService, ServiceState
from hosting.services.lease import Lease, Unleased
from hosting.standing import Standing
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """How a service is treated: its entry's RESTART and STOP_TIMEOUT, and the restart intensity."""

    restart: str = ON_FAILURE
    stop_timeout: float | None = None  # seconds; None: what is left of the host's budget
    max_restarts: int = 5
    restart_period: float = 60.0  # seconds
    watchdog: float | None = None  # seconds; None: what the service says itself
    backoff: Backoff = field(default_factory=Backoff)


class SupervisedService(Standing):
    """A service in a host: calls its methods where they belong, and keeps it running."""

    def __init__(
        self,
        service: HostedService,
        name: str = "",
        policy: Policy | None = None,
        lease: Lease | None = None,
    ) -> None:
        self.policy = policy or Policy()
        super().__init__(service, name or type(service).__name__, self.policy.watchdog)
        self.lease = lease or Unleased()
        self.stopping = CancellationToken()
        self.lifetime = HostLifetime()
        #: Makes the next life of this service, for when it was stopped by hand; None: it has none.
        self.again: Callable[[], SupervisedService] | None = None
        self.is_halted = False  # whether it was stopped by hand
        self._intensity = Intensity(self.policy.max_restarts, self.policy.restart_period)
        self._start: ServiceThread | None = None
        self._execution: ServiceThread | None = None
        self._coroutines: dict[int, CoroutineCall] = {}
        self._abandoned: list[CoroutineCall] = []

    def attach(
        self,
        lifetime: HostLifetime,
        loop: EventLoopThread,
        failed: Callable[[SupervisedService], None],
    ) -> None:
        """Join a host: its lifetime, its event loop, and what to call when the service fails."""
        self.lifetime = lifetime
        self._loop = loop
        self._failed = failed
        self.service.attach(self.name, self)

    @property
    def is_of_host(self) -> bool:
        """Whether it is one of the host's own services, which have names that no entry can have."""
        return ":" in self.name

    # Calls

    def begin(self, method: str, *args: Any) -> ServiceThread:
        """Call a method of the service on a thread of its own, for which the caller may wait."""
        return ServiceThread(
            f"hosting:{self.name}:{method}",
            lambda: self.call(getattr(self.service, method), *args),
            on=ServiceWork(self.name),
        )

    def begin_hook(self, method: str, cancel: CancellationToken) -> ServiceThread:
        """As `begin`, for a hook, which may be declared with or without the token."""
        takes_token = _accepts_one_argument(getattr(self.service, method))
        return self.begin(method, *([cancel] if takes_token else []))

    def begin_start(self, cancel: CancellationToken) -> ServiceThread:
        """As `begin`, for `start`, which is remembered."""
        self.move(ServiceState.STARTING)
        self._start = self.begin("start", cancel)
        return self._start

    @property
    def has_started(self) -> bool:
        """Whether `start` has returned without an error."""
        start = self._start
        return start is not None and start.finished.is_cancelled and start.error is None

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call the function here, or run the coroutine function on the event loop."""
        result = function(*args)
        if not inspect.iscoroutine(result):
            return result
        call = self._loop.submit(result)
        self._coroutines[threading.get_ident()] = call
        try:
            return call.result()
        finally:
            self._coroutines.pop(threading.get_ident(), None)

    def abandon(self, thread: ServiceThread) -> None:
        """Have asyncio cancel the coroutine that the thread waits for; a plain call goes on."""
        if call := self._coroutines.get(thread.ident or 0):
            self._abandoned.append(call)
            call.cancel()

    def is_left_behind(self, grace: float) -> bool:
        """Whether something of it goes on that was given up, also after so many seconds."""
        threads = [thread for thread in (self._start, self._execution) if thread is not None]
        is_done = [thread.finished.wait(0) for thread in threads]
        is_done += [call.ended.wait(grace) for call in self._abandoned]
        return not all(is_done)

    def stack(self, thread: ServiceThread) -> str:
        """Where the thread is, or the coroutine for which it waits."""
        call = self._coroutines.get(thread.ident or 0)
        return call.stack() if call else thread.stack()

    # Execution

    def where(self) -> str:
        execution = self._execution
        return self.stack(execution) if execution else super().where()

    @property
    def execution(self) -> ServiceThread | None:
        """The thread on which `execute` runs, once it has begun."""
        return self._execution

    def begin_execution(self) -> None:
        """Enter RUNNING, and begin `execute` on its thread if the service has one."""
        if not self.move(ServiceState.RUNNING):
            raise HostStateError(f"Service {self.name!r} is {self.state}, it cannot begin to run.")
        if isinstance(self.service, BackgroundService):
            self._execution = ServiceThread(
                f"hosting:{self.name}", self._supervise, on=ServiceWork(self.name)
            )

    def _supervise(self) -> None:
        while True:
            error = self._execute_once()
            if self.stopping.is_cancelled:
                if error is not None:
                    raise error
                return
            pause = self._judge_end(error)
            if pause is None or self.stopping.wait(pause) or not self.move(ServiceState.RUNNING):
                return
            self.restarts += 1

    def _execute_once(self) -> BaseException | None:
        assert isinstance(self.service, BackgroundService)
        try:
            self.call(self.service.execute, self.stopping)
        except BaseException as error:
            if self.stopping.is_cancelled:  # whoever stops the service reports what it raised
                return None if isinstance(error, CANCELLATIONS) else error
            logger.exception(
                "Service %r crashed: %s", self.name, error, extra={"service": self.name}
            )
            return error
        return None

    def _judge_end(self, error: BaseException | None) -> float | None:
        """Seconds until `execute` is to be run again, or None if it is not."""
        if error is None and self.policy.restart != ALWAYS:
            self.move(ServiceState.COMPLETED)
            return None
        failures = self._intensity.record(time.monotonic()) if error is not None else 1
        if error is not None and not self._may_restart(failures):
            self._give_up(error, failures)
            return None
        pause = self.policy.backoff.delay(failures)
        self.move(ServiceState.RESTARTING, error)
        logger.warning(
            "Service %r is run again in %.2f s", self.name, pause, extra={"service": self.name}
        )
        return pause

    def _may_restart(self, failures: int) -> bool:
        return self.policy.restart != NEVER and self._intensity.allows(failures)

    def _give_up(self, error: BaseException, failures: int) -> None:
        self.move(ServiceState.FAILED, error)
        logger.critical(
            "Service %r failed for good: %d failures in %g s, RESTART is %r, at most %d restarts",
            self.name,
            failures,
            self.policy.restart_period,
            self.policy.restart,
            self.policy.max_restarts,
            extra={"service": self.name},
        )
        self._failed(self)


def _accepts_one_argument(method: Callable[..., Any]) -> bool:
    try:
        inspect.signature(method).bind(object())
    except TypeError:
        return False
    return True
