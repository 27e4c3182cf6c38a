"""How the services of a host are started: phase by phase, until one fails or the host is to stop.

The phases (the hook `starting`, `start` itself, the hook `started`) go through the services in
order, one after the other, or all at once if so configured.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hosting.cancellation import CANCELLATIONS, CancellationToken
from hosting.deadlines import Ask, Request
from hosting.exceptions import OperationCancelled, ServiceStartError
from hosting.services import ServiceState
from hosting.supervision import SupervisedService
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)


class Start:
    """One start of a host: a budget of `timeout` seconds (None: no end) for all."""

    def __init__(
        self, timeout: float | None, concurrently: bool, stop_requested: CancellationToken
    ) -> None:
        self._timeout = timeout
        self._concurrently = concurrently
        self._stop_requested = stop_requested
        self._cancel = CancellationToken(stop_requested)
        if timeout is not None:
            self._cancel.cancel_after(timeout)

    def run(self, services: Sequence[SupervisedService]) -> None:
        """Start the services.

        Raises `ServiceStartError` for the first that fails, or `OperationCancelled` if the host is
        asked to stop meanwhile; what had started then is for the caller to stop.
        """
        for ask in (_ask_starting, _ask_start, _ask_started):
            self._phase(services, ask)

    def _phase(self, services: Sequence[SupervisedService], ask: Ask) -> None:
        size = max(1, len(services)) if self._concurrently else 1
        for first in range(0, len(services), size):
            batch = services[first : first + size]
            requests = [Request(service, self._cancel, ask) for service in batch]
            failures = [failure for request in requests if (failure := self._await(request))]
            # A failure is told rather than that the host was asked to stop.
            failures.sort(key=lambda failure: isinstance(failure, OperationCancelled))
            for failure in failures[1:]:
                logger.error("%s", failure, exc_info=failure, extra=_about(failure))
            if failures:
                raise failures[0]

    def _await(self, request: Request) -> Exception | None:
        late = request.unfinished_in_time()
        if not self._stop_requested.is_cancelled:
            for thread in late:
                self._name_laggard(request.service, thread)
        for thread in request.unfinished_after_grace() if late else ():
            request.service.abandon(thread)
        [thread] = request.threads
        return self._judge(request.service, thread.error)

    def _judge(self, service: SupervisedService, error: BaseException | None) -> Exception | None:
        is_answer = self._cancel.is_cancelled and isinstance(error, CANCELLATIONS)
        if error is not None and not is_answer:
            reason = repr(error)
        elif self._stop_requested.is_cancelled:
            return OperationCancelled("The host was asked to stop while it was starting.")
        elif self._cancel.is_cancelled:
            reason = f"it took longer than STARTUP_TIMEOUT, {self._timeout:g} s"
        else:
            return None
        service.move(ServiceState.FAILED, error)
        failure = ServiceStartError(service.name, reason)
        failure.__cause__ = error
        return failure

    def _name_laggard(self, service: SupervisedService, thread: ServiceThread) -> None:
        logger.error(
            "Service %r has not started within STARTUP_TIMEOUT, %g s; %s is here:\n%s",
            service.name,
            self._timeout,
            thread.name,
            service.stack(thread),
            extra={"service": service.name},
        )


def _about(failure: Exception) -> dict[str, str]:
    return {"service": failure.service} if isinstance(failure, ServiceStartError) else {}


def _ask_starting(service: SupervisedService, cancel: CancellationToken) -> list[ServiceThread]:
    return [service.begin_hook("starting", cancel)]


def _ask_start(service: SupervisedService, cancel: CancellationToken) -> list[ServiceThread]:
    return [service.begin_start(cancel)]


def _ask_started(service: SupervisedService, cancel: CancellationToken) -> list[ServiceThread]:
    return [service.begin_hook("started", cancel)]
