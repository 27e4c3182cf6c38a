"""When a timed service is due.

A schedule counts in seconds of its own clock: an interval uses the monotonic clock, so that a
change of the system's time neither skips nor repeats ticks; a cron expression uses wall time in its
time zone, and `hosting.cron` says what it does when the clocks of that zone are changed.

A tick is missed when it falls due while one is still running, or while the process is held up. What
becomes of it is the same for both kinds:

- "skip": nothing; the next tick comes at the next point of the original grid.
- "once": one tick comes at once, for all that were missed, and then the grid goes on.
- "all": each one that was missed comes, one after the other, before the grid goes on.
"""

from __future__ import annotations

import difflib
import math
import sys
import time
from contextlib import suppress
from datetime import timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError
from django.utils import timezone

from hosting.cron import Cron

SKIP, ONCE, ALL = "skip", "once", "all"


class Schedule(Protocol):
    """Answers when the first and each following tick is due, in seconds of the schedule's clock."""

    def now(self) -> float:
        """The present moment."""

    def first(self, now: float) -> float:
        """The moment of the first tick of a service that starts `now`."""

    def next_after(self, due: float, now: float) -> float:
        """The moment of the tick after the one due at `due`: later than that, not before `now`."""

    def latest(self, missed: float, now: float) -> float:
        """A moment up to `now` from which the grid goes on; a tick was missed at `missed`."""


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

    def latest(self, missed: float, now: float) -> float:
        return missed + max(0, math.floor((now - missed) / self.seconds)) * self.seconds


class CronSchedule:
    """Due at the moments of a five-field cron expression, in `zone` or Django's time zone."""

    def __init__(self, expression: str, zone: tzinfo | None = None) -> None:
        self.expression = expression
        self.zone = zone

    def __str__(self) -> str:
        return f"cron {self.expression}" + (f" ({self.zone})" if self.zone else "")

    def now(self) -> float:
        return time.time()

    def first(self, now: float) -> float:
        return Cron(self.expression, self.zone or timezone.get_default_timezone()).after(now)

    def next_after(self, due: float, now: float) -> float:
        return self.first(max(due, now))

    def latest(self, missed: float, now: float) -> float:
        return now  # the grid of a cron expression has no beginning


def following(schedule: Schedule, missed: str, due: float, now: float) -> float:
    """The moment of the tick after the one due at `due`, by what is done about missed ones."""
    if missed == SKIP:
        return schedule.next_after(due, now)
    first = schedule.next_after(due, due)
    return first if missed == ALL or first > now else schedule.latest(first, now)


def parse_schedule(
    interval: object = None, cron: object = None, time_zone: object = None
) -> Schedule:
    """Make the schedule of one of `interval` (seconds or timedelta) and `cron` (five fields).

    `time_zone` is the IANA name of the zone of `cron`; None is Django's TIME_ZONE. Raises
    ValueError naming the value found and what is allowed.
    """
    if (interval is None) == (cron is None):
        found = "neither" if interval is None else "both"
        raise ValueError(f"exactly one of interval and cron is needed, found {found}")
    if cron is not None:
        zone = None if time_zone is None else parse_time_zone(time_zone)
        return CronSchedule(parse_cron(cron), zone)
    if time_zone is not None:
        raise ValueError(f"time_zone is {time_zone!r}, allowed: only with cron")
    return IntervalSchedule(parse_interval(interval))


def parse_interval(interval: object, option: str = "interval") -> float:
    """Seconds of `interval`, a positive finite number or timedelta; raises ValueError otherwise."""
    seconds = _seconds(option, interval)
    if not 0 < seconds <= sys.float_info.max:
        raise ValueError(f"{option} is {interval!r}, allowed: more than 0 seconds, and finite")
    return float(seconds)


def parse_jitter(jitter: object, schedule: Schedule) -> float:
    """Seconds of `jitter`, a number or timedelta, 0 or more; less than the interval if it is one.

    Raises ValueError naming the value found and what is allowed.
    """
    seconds = _seconds("jitter", jitter)
    if not 0 <= seconds <= sys.float_info.max:
        raise ValueError(f"jitter is {jitter!r}, allowed: 0 seconds or more, and finite")
    if isinstance(schedule, IntervalSchedule) and seconds >= schedule.seconds:
        limit = f"less than the interval, which is {schedule.seconds:g} s"
        raise ValueError(f"jitter is {jitter!r}, allowed: {limit}")
    return float(seconds)


def parse_missed(missed: object, option: str = "missed") -> str:
    """What is done about missed ticks; raises ValueError for anything but the three words."""
    if not isinstance(missed, str) or missed not in (SKIP, ONCE, ALL):
        raise ValueError(f"{option} is {missed!r}, allowed: {SKIP!r}, {ONCE!r} or {ALL!r}")
    return missed


def parse_time_zone(name: object, option: str = "time_zone") -> ZoneInfo:
    """The zone with this IANA name; raises ValueError, naming the nearest one, if there is none."""
    if isinstance(name, str):
        # A name that is a folder or leads out of the zones' folder raises the other two.
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo(name)
    near = difflib.get_close_matches(str(name), available_timezones(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    allowed = "the IANA name of a time zone, such as 'Europe/Berlin'"
    raise ValueError(f"{option} is {name!r}, allowed: {allowed}{hint}")


def parse_cron(cron: object, option: str = "cron") -> str:
    """The expression, which is of five fields; raises ValueError for any other value."""
    if not isinstance(cron, str) or len(cron.split()) != 5:
        raise ValueError(f"{option} is {cron!r}, allowed: five fields such as '*/5 * * * *'")
    try:
        next(CronSim(cron, timezone.now()))
    except StopIteration:
        reason = "it is never due"
    except (CronSimError, AssertionError, TypeError) as error:
        # cronsim meets some mistakes, such as `* * * * 5L/2`, with the latter two.
        reason = str(error) if isinstance(error, CronSimError) else "it makes no sense to cronsim"
    else:
        return cron
    allowed = f"five fields such as '*/5 * * * *' ({reason})"
    raise ValueError(f"{option} is {cron!r}, allowed: {allowed}")


def _seconds(option: str, value: object) -> int | float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise ValueError(f"{option} is {value!r}, allowed: seconds or a timedelta")
    return seconds
