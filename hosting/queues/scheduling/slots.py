"""Which slots of a schedule are due, by the clock of the database; no clock is read here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from django.conf import settings
from django.utils import timezone

from hosting.cron import Cron
from hosting.queues.stores.scheduled import Definition
from hosting.schedules import ALL, ONCE, parse_time_zone

#: A slot is missed when it is later than this.
LATE = timedelta(seconds=60)

#: By how much the clock may be behind the moment from which a schedule counts, as after a failover
#: to another machine: that much is waited for. Without USE_TZ an hour comes twice in autumn.
BEHIND, TWICE = timedelta(seconds=60), timedelta(hours=1)

#: How many slots one transaction deals with at most.
AT_ONCE = 100

#: The least that tells two moments apart.
_MOMENT = timedelta(microseconds=1)


class Grid(Protocol):
    """The slots of a schedule, without beginning or end."""

    def after(self, moment: datetime) -> datetime:
        """The first slot later than this moment."""

    def latest_before(self, moment: datetime, first: datetime) -> datetime:
        """The last slot earlier than this moment; `first` is one, and earlier."""


@dataclass(frozen=True, slots=True)
class IntervalGrid:
    """The slots `since` + n * `interval`, n = 1, 2, ..."""

    since: datetime
    interval: timedelta

    def after(self, moment: datetime) -> datetime:
        passed = max(0, (moment - self.since) // self.interval)
        return self.since + (passed + 1) * self.interval

    def latest_before(self, moment: datetime, first: datetime) -> datetime:
        return first + (moment - _MOMENT - first) // self.interval * self.interval


class CronGrid:
    """The moments of a cron expression."""

    def __init__(self, expression: str, zone: tzinfo) -> None:
        self._cron = Cron(expression, zone)

    def after(self, moment: datetime) -> datetime:
        return datetime.fromtimestamp(self._cron.after(moment.timestamp()), UTC)

    def latest_before(self, moment: datetime, first: datetime) -> datetime:
        # Look back further and further, as only the way forward is known.
        for span in (timedelta(hours=1), timedelta(days=1), timedelta(days=32)):
            if moment - span > first and (found := list(self._between(moment - span, moment))):
                return found[-1]
        return [first, *self._between(first, moment)][-1]

    def _between(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        while (begin := self.after(begin)) < end:
            yield begin


def grid_of(definition: Definition, since: datetime) -> Grid:
    """The slots of a schedule that can be; `since` is the origin of an interval."""
    if definition.interval is not None:
        return IntervalGrid(since, timedelta(seconds=definition.interval))
    name = definition.time_zone
    zone = parse_time_zone(name) if name else timezone.get_default_timezone()
    return CronGrid(definition.cron, zone)


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done about a schedule now."""

    slots: tuple[datetime, ...]  # one job for each
    handled_until: datetime  # up to here everything is dealt with
    skipped_from: datetime | None = None  # the first of the slots that are left out
    skipped_to: datetime | None = None  # the moment before which they are


def is_set_back(counts_from: datetime, now: datetime) -> bool:
    """Whether the clock is that far behind the moment from which a schedule counts."""
    return counts_from - now > (BEHIND if settings.USE_TZ else BEHIND + TWICE)


def what_is_due(
    grid: Grid, missed: str, handled_until: datetime, now: datetime, at_once: int = AT_ONCE
) -> Due | None:
    """What is to be done about the slots after `handled_until`; None if none has come yet.

    A slot that is more than `LATE` late is missed: `missed` says whether all of those get a job
    ("all"), only the latest ("once"), or none ("skip").
    """
    first, begin, found = grid.after(handled_until), handled_until, []
    if first > now:
        return None
    left_out: tuple[datetime | None, datetime | None] = (None, None)
    if first < now - LATE and missed != ALL:
        begin, left_out = now - LATE - _MOMENT, (first, now - LATE)
        if missed == ONCE:
            found = [grid.latest_before(now - LATE, first)]
            left_out = (first, found[0]) if found[0] > first else (None, None)
    while len(found) < at_once and (slot := grid.after(begin)) <= now:
        found.append(slot)
        begin = slot
    return Due(tuple(found), begin, *left_out)
