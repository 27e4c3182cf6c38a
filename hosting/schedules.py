"""When a timed service is due.

A schedule counts in seconds of its own clock: an interval uses the monotonic clock, so that a
change of the system's time neither skips nor repeats ticks; a cron expression uses wall time in
Django's time zone. The rule for missed ticks is the same for both: ticks that fell due while one
was still running, or while the process was held up, are skipped, and the next tick comes at the
next point of the original grid.
"""

from __future__ import annotations

import math
import sys
import time
from datetime import datetime, timedelta
from typing import Protocol

from cronsim import CronSim, CronSimError
from django.utils import timezone


class Schedule(Protocol):
    """Answers when the first and each following tick is due, in seconds of the schedule's clock."""

    def now(self) -> float:
        """The present moment."""

    def first(self, now: float) -> float:
        """The moment of the first tick of a service that starts `now`."""

    def next_after(self, due: float, now: float) -> float:
        """The moment of the tick after the one due at `due`: later than that, not before `now`."""


class IntervalSchedule:
    """Due at once, then every `seconds` at a fixed rate."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __str__(self) -> str:
        return f"every {self.seconds:g} s"

    def now(self) -> float:
        return time.monotonic()

    def first(self, now: float) -> float:
        return now

    def next_after(self, due: float, now: float) -> float:
        periods = max(1, math.ceil((now - due) / self.seconds))
        following = due + periods * self.seconds
        # A float that cannot tell the two moments apart must still move on.
        return following if following > due and following >= now else now + self.seconds


class CronSchedule:
    """Due at the moments of a five-field cron expression, in Django's time zone."""

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def __str__(self) -> str:
        return f"cron {self.expression}"

    def now(self) -> float:
        return time.time()

    def first(self, now: float) -> float:
        moment = datetime.fromtimestamp(now, timezone.get_default_timezone())
        return next(CronSim(self.expression, moment)).timestamp()

    def next_after(self, due: float, now: float) -> float:
        return self.first(max(due, now))


def parse_schedule(interval: object = None, cron: object = None) -> Schedule:
    """Make the schedule of one of `interval` (seconds or timedelta) and `cron` (five fields).

    Raises ValueError naming the value found and what is allowed.
    """
    if (interval is None) == (cron is None):
        found = "neither" if interval is None else "both"
        raise ValueError(f"exactly one of interval and cron is needed, found {found}")
    if cron is not None:
        return CronSchedule(_cron_expression(cron))
    return IntervalSchedule(parse_interval(interval))


def parse_interval(interval: object) -> float:
    """Seconds of `interval`, a positive finite number or timedelta; raises ValueError otherwise."""
    seconds = interval.total_seconds() if isinstance(interval, timedelta) else interval
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ValueError(f"interval is {interval!r}, allowed: seconds or a timedelta")
    if not 0 < seconds <= sys.float_info.max:
        raise ValueError(f"interval is {interval!r}, allowed: more than 0 seconds, and finite")
    return float(seconds)


def _cron_expression(cron: object) -> str:
    if not isinstance(cron, str) or len(cron.split()) != 5:
        raise ValueError(f"cron is {cron!r}, allowed: five fields such as '*/5 * * * *'")
    try:
        next(CronSim(cron, timezone.now()))
    except (CronSimError, StopIteration) as error:
        reason = str(error) or "it is never due"
        raise ValueError(
            f"cron is {cron!r}, allowed: five fields such as '*/5 * * * *' ({reason})"
        ) from error
    return cron
