"""Waiting for what services were asked to do, until a deadline and a little longer."""

from __future__ import annotations

import time
from collections.abc import Callable

from hosting.cancellation import CancellationToken
from hosting.supervision import SupervisedService
from hosting.threads import ServiceThread

#: Seconds that whoever overran has to notice that its token is cancelled.
GRACE = 0.5

#: Asks a service to do its part; gives the threads to wait for.
Ask = Callable[[SupervisedService, CancellationToken], list[ServiceThread]]


class Request:
    """What one service was asked to do until its token is cancelled, and GRACE after that."""

    def __init__(self, service: SupervisedService, token: CancellationToken, ask: Ask) -> None:
        self.service = service
        self._token = token
        self.threads = ask(service, token)

    def unfinished_in_time(self) -> list[ServiceThread]:
        """The threads that have not ended when the token is cancelled."""
        return [thread for thread in self.threads if not thread.wait(self._token)]

    def unfinished_after_grace(self) -> list[ServiceThread]:
        """The threads that have not ended when the grace is over; without grace, not yet."""
        return [thread for thread in self.threads if not thread.finished.wait(self._grace_left())]

    def _grace_left(self) -> float:
        cancelled_at = self._token.cancelled_at
        return 0.0 if cancelled_at is None else max(0.0, cancelled_at + GRACE - time.monotonic())
