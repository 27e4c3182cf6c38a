"""The host: starts the services of one process in order, waits, and stops them in reverse.

    start(): every `starting`, `start`, `started`; every `execute` begins; lifetime.started
    stop():  lifetime.stopping; every `stopping`, `stop`, `stopped`, `close`; lifetime.stopped

No `execute` begins before every service has started, so a start that fails has run no work yet, and
nothing that an `execute` does, on a thread or on the event loop, can hold up the start.

Time: a start has STARTUP_TIMEOUT, a stop SHUTDOWN_TIMEOUT, as one budget for all services. Whoever
overruns is named in the log with its stack, and has `GRACE` to notice that its token is cancelled;
then the host goes on without it. Once the budget is spent, the services that are left are asked all
at once, so that a stop takes SHUTDOWN_TIMEOUT and a few times GRACE at most.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from hosting.conf import HostingSettings
from hosting.deadlines import GRACE
from hosting.exceptions import (
    HostStateError,
    OperationCancelled,
    ServiceStartError,
)
from hosting.lifetime import HostLifetime
from hosting.loop import EventLoopThread
from hosting.services import HostedService, ServiceState, ServiceStatus
from hosting.signals import host_started, host_stopped
from hosting.starting import Start
from hosting.stopping import NOT_CLEAN, Stop
from hosting.supervision import SupervisedService
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=HostedService)


class Host:
    """Hosts services for the life of one process.

    `stop_on_failure` says what the final failure of a service means: a worker stops (and its exit
    code tells), a web process keeps serving and reports unhealthy.
    """

    def __init__(
        self,
        services: Sequence[SupervisedService],
        settings: HostingSettings | None = None,
        *,
        kind: str = "worker",
        stop_on_failure: bool = True,
    ) -> None:
        self.settings = settings or HostingSettings()
        self.kind = kind
        self.pid = os.getpid()
        self.lifetime = HostLifetime()
        self.lifetime.ends_on_failure = stop_on_failure
        self._services = tuple(services)
        self._loop = EventLoopThread()
        self._turn = threading.RLock()
        self._actor: threading.Thread | None = None
        self._begun = False
        for service in self._services:
            service.attach(self.lifetime, self._loop, self._service_failed)

    def run(self) -> None:
        """Start, wait until asked to stop, stop; raises what `start` or `stop` raises."""
        try:
            self.start()
        except OperationCancelled:
            return
        self.lifetime.stop_requested.wait()
        self.stop()

    def start(self) -> None:
        """Start every service, in order.

        Raises `ServiceStartError` if one fails, after stopping what had started and closing all;
        `OperationCancelled` likewise if asked to stop meanwhile, or what `stop` raises if that was
        not clean; `HostStateError` the second time.
        """
        with self._acting():
            if self._begun:
                raise HostStateError(
                    "This host was started or stopped before; a host is started once."
                )
            self._begun = True
            try:
                self._start_all()
            except BaseException as error:
                errors = self._roll_back(error)
                if errors and isinstance(error, OperationCancelled):
                    raise ExceptionGroup(NOT_CLEAN, errors) from error
                raise
            self.lifetime.started.cancel()
        host_started.send_robust(type(self), host=self)
        logger.info("Hosting %s in %s", ", ".join(self._told_names()) or "no services", self._who())

    def stop(self) -> None:
        """Stop every service in reverse order, and wait for it; safe at any time, from any thread.

        The first call raises what went wrong as one ExceptionGroup. Called by a service of this
        host, or while this very thread starts or stops it, it only asks the host to stop.
        """
        self.lifetime.stop()
        if self._waits_for_caller():
            return
        with self._acting():
            self._begun = True
            if self.lifetime.stopped.is_cancelled:
                return
            errors = self._stop_all(self._living())
        if errors:
            raise ExceptionGroup(NOT_CLEAN, errors)

    def halt(self, name: str) -> list[Exception]:
        """Stop one service by hand; it stays stopped until `resume`. Gives what went wrong.

        Raises `HostStateError` if that cannot be: there is none of this name, it is one of the
        host's own, or the host stops.
        """
        with self._acting():
            service = self._steered(name)
            if service.is_halted:
                return []
            service.is_halted = True
            started = [service] if service.has_started else []
            return Stop(self.settings.shutdown_timeout, False).run(started, [service])

    def resume(self, name: str) -> None:
        """Begin a new life, with a new instance, of a service that was halted or has ended.

        Raises `HostStateError` as `halt` does, and if it has not ended; `ServiceStartError` if it
        does not start, which is then as if it was halted.
        """
        with self._acting():
            old = self._steered(name)
            if old.state in (ServiceState.COMPLETED, ServiceState.FAILED):
                self.halt(name)
            if not old.is_halted or old.is_left_behind(GRACE):
                raise HostStateError(f"Service {name!r} is {old.state} and has not ended.")
            assert old.again is not None
            self._begin_again(old, old.again())

    def _begin_again(self, old: SupervisedService, new: SupervisedService) -> None:
        self._services = tuple(new if each is old else each for each in self._services)
        new.attach(self.lifetime, self._loop, self._service_failed)
        try:
            Start(self.settings.startup_timeout, False, self.lifetime.stop_requested).run([new])
        except Exception:
            new.is_halted = True
            Stop(self.settings.shutdown_timeout, False).run([], [new])
            raise
        new.begin_execution()
        if all(each.state is not ServiceState.FAILED for each in self._services):
            self.lifetime.failure = None  # of a web process, which has gone on

    def _steered(self, name: str) -> SupervisedService:
        """The service of this name, which may be stopped and started by itself."""
        found = {service.name: service for service in self._services if service.again}
        if self.lifetime.stop_requested.is_cancelled:
            raise HostStateError("The host stops, and its services with it.")
        if name not in found:
            known = ", ".join(map(repr, found)) or "none"
            raise HostStateError(
                f"No service {name!r} can be stopped or started here, allowed: {known}."
            )
        return found[name]

    def _living(self) -> list[SupervisedService]:
        """The services that were not stopped by hand, which has closed them."""
        return [service for service in self._services if not service.is_halted]

    def __enter__(self) -> Host:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def names(self) -> list[str]:
        """The names of the services, in starting order."""
        return [service.name for service in self._services]

    def instances(self, service_class: type[S]) -> list[S]:
        """Its services of this class, in starting order."""
        found = (supervised.service for supervised in self._services)
        return [service for service in found if isinstance(service, service_class)]

    def _told_names(self) -> list[str]:
        return [service.name for service in self._services if not service.is_of_host]

    def _who(self) -> str:
        return f"{self.kind} process {self.pid}"

    def services(self, *, with_facts: bool = True) -> list[ServiceStatus]:
        """What is known of each service now, in starting order.

        Their `facts` are made by their own code, which may take its time.
        """
        return [service.status(with_facts=with_facts) for service in self._services]

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Start or stop, one thread at a time."""
        with self._turn:
            before, self._actor = self._actor, threading.current_thread()
            try:
                yield
            finally:
                self._actor = before

    def _waits_for_caller(self) -> bool:
        """Whether waiting for this host would be waiting for oneself."""
        caller = threading.current_thread()
        return caller is self._actor or isinstance(caller, ServiceThread) or self._loop.is_current()

    def _start_all(self) -> None:
        start = Start(
            self.settings.startup_timeout,
            self.settings.start_concurrently,
            self.lifetime.stop_requested,
        )
        start.run(self._services)
        for service in self._services:
            service.begin_execution()

    def _roll_back(self, error: BaseException) -> list[Exception]:
        self.lifetime.stop()
        if not isinstance(error, OperationCancelled):
            logger.error("The host could not start: %s", error, exc_info=error)
            self.lifetime.escalate(_cause(error))
        started = [service for service in self._services if service.has_started]
        return self._stop_all(started)

    def _stop_all(self, services: Sequence[SupervisedService]) -> list[Exception]:
        stop = Stop(self.settings.shutdown_timeout, self.settings.stop_concurrently)
        self.lifetime.stopping.cancel()
        errors = stop.run(services, everyone=self._living())
        self._loop.close()
        self.lifetime.stopped.cancel()
        host_stopped.send_robust(type(self), host=self, errors=errors)
        outcome = f", with {len(errors)} errors" if errors else ""
        logger.info("Stopped hosting in %s%s", self._who(), outcome)
        return errors

    def _service_failed(self, service: SupervisedService) -> None:
        self.lifetime.escalate(f"service {service.name!r} failed for good")


def _cause(error: BaseException) -> str:
    """Why a host could not start, without the words of an error, which anybody may get to see."""
    if isinstance(error, ServiceStartError):
        return f"service {error.service!r} could not be started"
    return f"it could not be started: {type(error).__name__}"
