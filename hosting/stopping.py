"""How the services of a host are stopped: every one is asked, whatever the others do.

A stop goes through phases (the hook `stopping`, `stop` itself, the hook `stopped`, `close`), each
in reverse order, one service after the other, or all at once if so configured or once the budget
is spent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from hosting.cancellation import CancellationToken
from hosting.deadlines import Ask, Request
from hosting.exceptions import ServiceStopError
from hosting.services import ServiceState
from hosting.supervision import SupervisedService
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: Says what a group of errors is of that were met while services stopped.
NOT_CLEAN = "Services did not stop cleanly"


class Stop:
    """One stop of a host: a budget of `timeout` seconds for all, and the errors met on the way."""

    def __init__(self, timeout: float, concurrently: bool) -> None:
        self._concurrently = concurrently
        self._budget = CancellationToken()
        self._budget.cancel_after(timeout)
        self._errors: list[Exception] = []

    def run(
        self, started: Sequence[SupervisedService], everyone: Sequence[SupervisedService]
    ) -> list[Exception]:
        """Stop those that had started, then close everyone; gives what went wrong."""
        if self._concurrently:
            for service in started:
                if not service.is_of_host:
                    service.stopping.cancel()
        self._phase(started, _ask_stopping)
        self._phase(started, _ask_stop, _note_stopped)
        self._phase(started, _ask_stopped)
        self._phase(everyone, _ask_close, _note_closed)
        return self._errors

    def _phase(
        self,
        services: Sequence[SupervisedService],
        ask: Ask,
        note: Callable[[SupervisedService, Exception | None], object] | None = None,
    ) -> None:
        left = self._in_order(services)
        while left:
            too_late = self._budget.is_cancelled
            size = len(left) if too_late else self._batch_size(left)
            requests = [Request(service, self._token(service), ask) for service in left[:size]]
            for request in requests:
                error = self._await(request, too_late)
                if note:
                    note(request.service, error)
            del left[:size]

    def _in_order(self, services: Sequence[SupervisedService]) -> list[SupervisedService]:
        """The latest first; side by side, the host's own last, as others rely on them."""
        latest_first = list(reversed(services))
        if self._concurrently:
            latest_first.sort(key=lambda service: service.is_of_host)
        return latest_first

    def _batch_size(self, left: Sequence[SupervisedService]) -> int:
        """How many are asked side by side."""
        if not self._concurrently:
            return 1
        return sum(not service.is_of_host for service in left) or 1

    def _token(self, service: SupervisedService) -> CancellationToken:
        token = CancellationToken(self._budget)
        if service.policy.stop_timeout is not None:
            token.cancel_after(service.policy.stop_timeout)
        return token

    def _await(self, request: Request, too_late: bool) -> Exception | None:
        # When there was no time left to overrun, what counts is whether it ends within the grace.
        late = request.unfinished_after_grace() if too_late else request.unfinished_in_time()
        for thread in late:
            _name_laggard(request.service, thread)
        for thread in request.unfinished_after_grace():
            request.service.abandon(thread)
        failures = [_failure(request.service, thread, thread in late) for thread in request.threads]
        found: list[Exception] = [failure for failure in failures if failure is not None]
        self._errors += found
        return found[0] if found else None


def _ask_stopping(service: SupervisedService, token: CancellationToken) -> list[ServiceThread]:
    return [service.begin_hook("stopping", token)]


def _ask_stop(service: SupervisedService, token: CancellationToken) -> list[ServiceThread]:
    service.move(ServiceState.STOPPING)
    stop = service.begin("stop", token)
    service.stopping.cancel()
    return [stop, service.execution] if service.execution else [stop]


def _ask_stopped(service: SupervisedService, token: CancellationToken) -> list[ServiceThread]:
    return [service.begin_hook("stopped", token)]


def _ask_close(service: SupervisedService, token: CancellationToken) -> list[ServiceThread]:
    return [service.begin_hook("close", token)]


def _note_stopped(service: SupervisedService, error: Exception | None) -> None:
    service.move(ServiceState.STOPPED if error is None else ServiceState.FAILED, error)


def _note_closed(service: SupervisedService, error: Exception | None) -> None:
    if service.state in (ServiceState.CREATED, ServiceState.STARTING):
        service.move(ServiceState.STOPPING)
        _note_stopped(service, error)


def _name_laggard(service: SupervisedService, thread: ServiceThread) -> None:
    logger.error(
        "Service %r has not stopped in its time; %s is here:\n%s",
        service.name,
        thread.name,
        service.stack(thread),
        extra={"service": service.name},
    )


def _failure(
    service: SupervisedService, thread: ServiceThread, late: bool
) -> ServiceStopError | None:
    """What to report of an ended or overdue thread, or None if all is well."""
    if thread.error is None and not late:
        return None
    reason = "it overran its time" if late else f"{thread.name} raised {thread.error!r}"
    failure = ServiceStopError(service.name, reason)
    failure.__cause__ = thread.error
    if not late:
        logger.error("%s", failure, exc_info=thread.error, extra={"service": service.name})
    return failure
