"""Services made of units of work: `TimedService` and `ScopedService`.

A unit runs in a scope of its own. One that raises is logged and counted, and the next comes when
it is due: a service that is to crash instead overrides `failed` and raises.
"""

from __future__ import annotations

import logging
import random
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from hosting.cancellation import CancellationToken
from hosting.exceptions import OperationCancelled
from hosting.schedules import (
    SKIP,
    Schedule,
    following,
    parse_interval,
    parse_jitter,
    parse_missed,
    parse_schedule,
)
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
        self.beat()
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
    five-field expression in `time_zone`, an IANA name (default: Django's TIME_ZONE). `jitter`,
    seconds or a timedelta, delays each tick by a random time up to that; the next one is due as
    without it. Ticks never overlap; `missed` ("skip", "once" or "all") says what becomes of those
    that fall due during a tick (see `hosting.schedules`). Each is a class attribute or an option.

    Raises ValueError for a value that is not allowed.
    """

    interval: float | timedelta | None = None
    cron: str | None = None
    time_zone: str | None = None
    jitter: float | timedelta = 0
    missed: str = SKIP

    def __init__(
        self,
        interval: float | timedelta | None = None,
        cron: str | None = None,
        time_zone: str | None = None,
        jitter: float | timedelta | None = None,
        missed: str | None = None,
    ) -> None:
        given = {"interval": interval, "cron": cron, "time_zone": time_zone}
        for name, value in _timing(self, {**given, "jitter": jitter, "missed": missed}).items():
            if getattr(self, name) != value:  # a subclass may have a property of this name
                setattr(self, name, value)
        parse_jitter(self.jitter, self.schedule())
        parse_missed(self.missed)

    @abstractmethod
    def tick(self, stopping: CancellationToken) -> Any:
        """Do what is due; `stopping` is cancelled when the service is to end."""

    def schedule(self) -> Schedule:
        """The schedule; raises ValueError saying what is wrong with `interval` or `cron`."""
        return parse_schedule(self.interval, self.cron, self.time_zone)

    def delay(self) -> float:
        """Seconds by which the next tick comes later than it is due: random, up to `jitter`."""
        jitter = self.jitter
        longest = jitter.total_seconds() if isinstance(jitter, timedelta) else jitter
        return random.uniform(0, longest)

    def execute(self, stopping: CancellationToken) -> None:
        schedule = self.schedule()
        due = schedule.first(schedule.now())
        while not _wait_until(due + self.delay(), schedule, stopping, self.beat):
            self.run_unit(self.tick, stopping)
            due = following(schedule, self.missed, due, schedule.now())

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        problems = list(super().check_options(options))
        yield from problems
        if problems or cls.__init__ is not TimedService.__init__:
            return
        timing = _timing(cls, options)
        yield from _complaint(parse_missed, timing["missed"])
        try:
            schedule = parse_schedule(timing["interval"], timing["cron"], timing["time_zone"])
        except ValueError as error:
            yield str(error)
        else:
            yield from _complaint(parse_jitter, timing["jitter"], schedule)


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
            self.beat(pause)
            stopping.wait(pause)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        problems = list(super().check_options(options))
        yield from problems
        if problems or cls.__init__ is not ScopedService.__init__:
            return
        given = options.get("interval")
        yield from _complaint(parse_interval, cls.interval if given is None else given)


def _timing(declared: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a timed service goes by: the options that are given, and else its class attributes."""
    names = ("interval", "cron", "time_zone", "jitter", "missed")
    timing = {name: getattr(declared, name) for name in names}
    given = {name: value for name, value in options.items() if value is not None}
    if given.keys() & {"interval", "cron"}:
        timing.update(interval=None, cron=None)
        if "cron" not in given:
            timing["time_zone"] = None  # it was that of the cron expression
    return {**timing, **given}


def _complaint(parse: Callable[..., Any], *values: Any) -> Iterator[str]:
    """What is wrong with a value, in the words of who parses it."""
    try:
        parse(*values)
    except ValueError as error:
        yield str(error)


def _wait_until(
    due: float, schedule: Schedule, stopping: CancellationToken, beat: Callable[[float], None]
) -> bool:
    """Wait until the schedule's clock reads `due`; True if the service is to end instead."""
    while (delay := due - schedule.now()) > 0:
        pause = min(delay, LONGEST_WAIT)
        beat(pause)
        if stopping.wait(pause):
            return True
    return stopping.is_cancelled
