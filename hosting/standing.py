"""What is known of one service in a host: its state, its condition, and what it says of itself."""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import Any

from django.utils import timezone

from hosting.services import HostedService, ServiceState, ServiceStatus
from hosting.services.health import Condition, Health
from hosting.signals import service_state_changed
from hosting.vitals import Vitals, publish

logger = logging.getLogger(__name__)


class Standing:
    """How a service is; what the service reports of itself comes here.

    `watchdog` is the number of seconds that its entry gives it between two signs of life; None: as
    many as it says itself.
    """

    def __init__(self, service: HostedService, name: str, watchdog: float | None) -> None:
        self.service = service
        self.name = name
        self.state = ServiceState.CREATED
        self.restarts = 0
        self.vitals = Vitals(
            service.watchdog if watchdog is None else watchdog, self._condition_changed
        )
        self._since: datetime = timezone.now()
        self._moving = threading.Lock()
        self._ready = False
        self._last_error: str | None = None

    def move(self, new: ServiceState, error: BaseException | None = None) -> bool:
        """Enter a state and announce it; False if the service may not enter it any more."""
        with self._moving:
            old = self.state
            if not old.may_become(new):
                return False
            self.state, self._since = new, timezone.now()
            if error is not None:
                self._last_error = f"{type(error).__name__}: {error}"
            if new is not ServiceState.RUNNING:
                self._ready = False
                self.vitals.end()
            else:
                # If it reports that itself, it may have done so from its `start`.
                self._ready = self._ready or not self.service.reports_ready
                self.vitals.begin()
        self.announce(old, new, error)
        return True

    def announce(self, old: ServiceState, new: ServiceState, error: BaseException | None) -> None:
        """Tell those who listen of a new state."""
        service_state_changed.send_robust(
            type(self.service), service=self.name, old=old, new=new, error=error
        )

    def ready(self) -> None:
        """Note that the service, which is starting or running, does its work from now on."""
        with self._moving:
            self._ready = self._is_alive

    def beat(self, pause: float = 0.0, part: str = "") -> None:
        """Note a sign of life of the service, or of a part of it."""
        self.vitals.beat(pause, part)

    def degraded(self, reason: str) -> None:
        """Note that the service, which is starting or running, does its work badly."""
        if self._is_alive:
            self.vitals.degrade(reason)

    def healthy(self) -> None:
        """Note that the service does its work as it should."""
        self.vitals.recover()

    @property
    def _is_alive(self) -> bool:
        return self.state in (ServiceState.STARTING, ServiceState.RUNNING)

    def health(self) -> Health:
        """What can be said now of the service's health."""
        if not self.state.is_healthy:
            is_again = self.state is ServiceState.RESTARTING
            return Health(Condition.DOWN, "crashed, is run again" if is_again else "has failed")
        return self.vitals.health()

    def where(self) -> str:
        """Where it is now, as a traceback prints it."""
        return "(it has no thread of its own)\n"

    def _condition_changed(self, old: Health, new: Health) -> None:
        publish(self.service, self.name, old, new, self.where())

    def status(self, *, with_facts: bool = True) -> ServiceStatus:
        """What is known of the service now; without its facts, from memory alone."""
        service_class, health = type(self.service), self.health()
        return ServiceStatus(
            name=self.name,
            service=f"{service_class.__module__}.{service_class.__qualname__}",
            state=self.state,
            since=self._since,
            ready=self._ready,
            restarts=self.restarts,
            last_error=self._last_error,
            facts=self._facts() if with_facts else {},
            reports_ready=self.service.reports_ready,
            condition=health.condition,
            reason=health.reason,
            beat_at=self.vitals.beat_at,
        )

    def _facts(self) -> dict[str, Any]:
        try:
            return dict(self.service.facts())
        except Exception as error:
            logger.exception(
                "Service %r cannot report on itself", self.name, extra={"service": self.name}
            )
            return {"error": repr(error)}
