"""Services made of units of work: `TimedService` and `ScopedService`.

A unit runs in a scope of its own. One that raises is logged and counted, and the next comes when
it is due: a service that is to crash instead overrides `failed` and raises.
"""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from hosting.cancellation import CancellationToken
from hosting.exceptions import OperationCancelled
from hosting.schedules import Schedule, parse_interval, parse_schedule
from hosting.scope import Scope, in_scope
from hosting.services.base import BackgroundService
from hosting.signals import tick_finished, tick_started

logger = logging.getLogger(__name__)

#: Seconds that a wait lasts at most, as wall time may be set back or forth meanwhile.
LONGEST_WAIT = 30.0


class UnitService(BackgroundService):
    """Runs units one after the other, each in its own scope, and keeps count of them."""

    unit_count = 0
    failure_count = 0
    last_unit_at: datetime | None = None

    def facts(self) -> Mapping[str, Any]:
        return {
            "count": self.unit_count,
            "failures": self.failure_count,
            "last": self.last_unit_at.isoformat() if self.last_unit_at else None,
        }

    def failed(self, error: BaseException) -> None:
        """Called when a unit raised, inside the `except`; raise here to end `execute` with it."""
        logger.exception("Service %r: %s", self.name, error, extra={"service": self.name})

    def run_unit(self, unit: Callable[..., Any], *args: Any, hand_over: bool = False) -> None:
        """Run `unit(*args)`, or `unit(scope, *args)`; an end by cancellation is no failure."""
        self.unit_count += 1
        self.last_unit_at = timezone.now()
        began = time.monotonic()
        failure: BaseException | None = None
        tick_started.send_robust(type(self), service=self.name)
        try:
            self._runtime.call(in_scope(unit, hand_over=hand_over), *args)
        except OperationCancelled:
            pass
        except BaseException as error:
            self.failure_count += 1
            failure = error
            self.failed(error)
        finally:
            tick_finished.send_robust(
                type(self), service=self.name, seconds=time.monotonic() - began, error=failure
            )


class TimedService(UnitService):
    """Calls `tick` on a schedule: every `interval`, or at the moments of `cron`.

    `interval` is in seconds, or a timedelta: due at once, then at a fixed rate. `cron` is a
    five-field expression in Django's time zone. Set one as a class attribute or as an option. Ticks
    never overlap; those that fall due during a tick are skipped (see `hosting.schedules`).
    """

    interval: float | timedelta | None = None
    cron: str | None = None

    def __init__(self, interval: float | timedelta | None = None, cron: str | None = None) -> None:
        if interval is not None or cron is not None:
            self.interval, self.cron = interval, cron
        self.schedule()

    @abstractmethod
    def tick(self, stopping: CancellationToken) -> Any:
        """Do what is due; `stopping` is cancelled when the service is to end."""

    def schedule(self) -> Schedule:
        """The schedule; raises ValueError saying what is wrong with `interval` or `cron`."""
        return parse_schedule(self.interval, self.cron)

    def execute(self, stopping: CancellationToken) -> None:
        schedule = self.schedule()
        due = schedule.first(schedule.now())
        while not _wait_until(due, schedule, stopping):
            self.run_unit(self.tick, stopping)
            due = schedule.next_after(due, schedule.now())

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        problems = list(super().check_options(options))
        yield from problems
        if problems or cls.__init__ is not TimedService.__init__:
            return
        given = any(options.get(key) is not None for key in ("interval", "cron"))
        source: Mapping[str, Any] = options if given else vars_of(cls, "interval", "cron")
        try:
            parse_schedule(source.get("interval"), source.get("cron"))
        except ValueError as error:
            yield str(error)


class ScopedService(UnitService):
    """Opens a scope, hands it to `work`, waits `interval` seconds, and begins again."""

    interval: float | timedelta = 10.0

    def __init__(self, interval: float | timedelta | None = None) -> None:
        if interval is not None:
            self.interval = interval
        parse_interval(self.interval)

    @abstractmethod
    def work(self, scope: Scope, stopping: CancellationToken) -> Any:
        """Do one iteration within `scope`; `stopping` is cancelled when the service is to end."""

    def execute(self, stopping: CancellationToken) -> None:
        pause = parse_interval(self.interval)
        while not stopping.is_cancelled:
            self.run_unit(self.work, stopping, hand_over=True)
            stopping.wait(pause)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        problems = list(super().check_options(options))
        yield from problems
        if problems or cls.__init__ is not ScopedService.__init__:
            return
        try:
            given = options.get("interval")
            parse_interval(cls.interval if given is None else given)
        except ValueError as error:
            yield str(error)


def vars_of(cls: type, *names: str) -> dict[str, Any]:
    """The values of these class attributes by name."""
    return {name: getattr(cls, name, None) for name in names}


def _wait_until(due: float, schedule: Schedule, stopping: CancellationToken) -> bool:
    """Wait until the schedule's clock reads `due`; True if the service is to end instead."""
    while (delay := due - schedule.now()) > 0:
        if stopping.wait(min(delay, LONGEST_WAIT)):
            return True
    return stopping.is_cancelled
