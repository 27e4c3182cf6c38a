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
from collections.abc import Callable, Sequence

from hosting.cancellation import CancellationToken
from hosting.conf import HostingSettings
from hosting.exceptions import (
    HostStateError,
    OperationCancelled,
    ServiceStartError,
)
from hosting.lifetime import HostLifetime
from hosting.loop import EventLoopThread
from hosting.services import ServiceState, ServiceStatus
from hosting.signals import host_started, host_stopped
from hosting.stopping import GRACE, Stop
from hosting.supervision import SupervisedService
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)


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
        self._services = tuple(services)
        self._stop_on_failure = stop_on_failure
        self._loop = EventLoopThread()
        self._turn = threading.RLock()
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
        `OperationCancelled` likewise if asked to stop meanwhile; `HostStateError` the second time.
        """
        with self._turn:
            if self._begun:
                raise HostStateError(
                    "This host was started or stopped before; a host is started once."
                )
            self._begun = True
            try:
                self._start_all()
            except BaseException as error:
                self._roll_back(error)
                raise
            self.lifetime.started.cancel()
        host_started.send_robust(type(self), host=self)
        logger.info("Hosting %s", ", ".join(self.names()) or "no services")

    def stop(self) -> None:
        """Stop every service in reverse order, and wait for it; safe at any time, from any thread.

        The first call raises what went wrong as one ExceptionGroup. Called by a service of this
        host, it asks the host to stop and returns at once.
        """
        self.lifetime.stop()
        if isinstance(threading.current_thread(), ServiceThread) or self._loop.is_current():
            return
        with self._turn:
            self._begun = True
            if self.lifetime.stopped.is_cancelled:
                return
            errors = self._stop_all(self._services)
        if errors:
            raise ExceptionGroup("Services did not stop cleanly", errors)

    def __enter__(self) -> Host:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def names(self) -> list[str]:
        """The names of the services, in starting order."""
        return [service.name for service in self._services]

    def services(self) -> list[ServiceStatus]:
        """What is known of each service now, in starting order."""
        return [service.status() for service in self._services]

    def _start_all(self) -> None:
        cancel = CancellationToken(self.lifetime.stop_requested)
        if self.settings.startup_timeout is not None:
            cancel.cancel_after(self.settings.startup_timeout)
        self._each(lambda service: service.begin_hook("starting", cancel), cancel)
        self._each(lambda service: service.begin_start(cancel), cancel)
        self._each(lambda service: service.begin_hook("started", cancel), cancel)
        for service in self._services:
            service.begin_execution()

    def _each(
        self, begin: Callable[[SupervisedService], ServiceThread], cancel: CancellationToken
    ) -> None:
        """Have every service do it, one by one or all at once; raises the first failure."""
        size = max(1, len(self._services)) if self.settings.start_concurrently else 1
        for first in range(0, len(self._services), size):
            batch = [(service, begin(service)) for service in self._services[first : first + size]]
            failures = [
                failure
                for service, thread in batch
                if (failure := self._await(service, thread, cancel))
            ]
            for failure in failures[1:]:
                logger.error("%s", failure, exc_info=failure)
            if failures:
                raise failures[0]

    def _await(
        self, service: SupervisedService, thread: ServiceThread, cancel: CancellationToken
    ) -> Exception | None:
        ended = thread.wait(cancel)
        stop_requested = self.lifetime.stop_requested.is_cancelled
        if not ended and not stop_requested:
            logger.error(
                "Service %r has not started within STARTUP_TIMEOUT, %g s; it is here:\n%s",
                service.name,
                self.settings.startup_timeout,
                service.stack(thread),
                extra={"service": service.name},
            )
        if not ended and not thread.finished.wait(GRACE):
            service.abandon(thread)
        if stop_requested:
            return OperationCancelled("The host was asked to stop while it was starting.")
        if ended and thread.error is None:
            return None
        reason = repr(thread.error) if ended else "it took longer than STARTUP_TIMEOUT"
        service.move(ServiceState.FAILED, thread.error)
        failure = ServiceStartError(service.name, reason)
        failure.__cause__ = thread.error
        return failure

    def _roll_back(self, error: BaseException) -> None:
        self.lifetime.stop()
        if not isinstance(error, OperationCancelled):
            logger.error("The host could not start: %s", error, exc_info=error)
        started = [service for service in self._services if service.has_started]
        for failure in self._stop_all(started):
            logger.error("While rolling back: %s", failure, exc_info=failure)

    def _stop_all(self, services: Sequence[SupervisedService]) -> list[Exception]:
        stop = Stop(self.settings.shutdown_timeout, self.settings.stop_concurrently)
        self.lifetime.stopping.cancel()
        errors = stop.run(services, everyone=self._services)
        self._loop.close()
        self.lifetime.stopped.cancel()
        host_stopped.send_robust(type(self), host=self, errors=errors)
        logger.info("Stopped%s", f" with {len(errors)} errors" if errors else "")
        return errors

    def _service_failed(self, service: SupervisedService) -> None:
        if self._stop_on_failure:
            self.lifetime.escalate(f"service {service.name!r} failed for good")
