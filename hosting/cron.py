"""The moments of a five-field cron expression in a time zone.

cronsim says which times of the calendar match. What happens where the clocks of the zone are
changed is Debian's rule, which cronsim follows too:

- A fixed time (neither the minute nor the hour begins with a star, as in `30 2 * * *`) comes once
  on each of its days. One that the clocks skip comes when the gap ends, and all that lie in one gap
  come as one; one that they show twice comes the first time.
- Otherwise (as in `*/15 * * * *` or `*/15 2 * * *`) a moment is due if the clock on the wall
  matches: what is skipped does not come, and what is shown twice comes twice.

The second rule is applied here, to one stretch between two changes after the other, as cronsim
loses moments where a change is not one of whole hours, or skips midnight.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from cronsim import CronSim

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class Cron:
    """An expression, which must be one that cronsim knows, in a zone."""

    def __init__(self, expression: str, zone: tzinfo) -> None:
        self._expression = expression
        self._zone = zone
        minute, hour = expression.split()[:2]
        self._is_fixed = not minute.startswith("*") and not hour.startswith("*")

    def after(self, moment: float) -> float:
        """The first moment later than this one, both in seconds since 1970."""
        following = self._fixed_after if self._is_fixed else self._matching_after
        return following(moment)

    def _fixed_after(self, moment: float) -> float:
        # cronsim counts on from the time on the wall: in an hour that comes a second time, the
        # times it gives first are those of the first.
        found = CronSim(self._expression, datetime.fromtimestamp(moment, self._zone))
        return next(due for each in found if (due := each.timestamp()) > moment)

    def _matching_after(self, moment: float) -> float:
        begin = datetime.fromtimestamp(int(moment // 1), UTC)
        offset = self._offset(begin)
        while True:
            wall = next(CronSim(self._expression, (begin + offset).replace(tzinfo=None)))
            due = (wall - offset).replace(tzinfo=UTC)
            change = self._change(begin, due, offset)
            if change is None:
                return due.timestamp()
            begin, offset = change - _SECOND, self._offset(change)

    def _change(self, begin: datetime, end: datetime, offset: timedelta) -> datetime | None:
        """The first moment after `begin`, up to `end`, at which the offset is another one."""
        before = begin
        while before < end:
            after = min(before + _DAY, end)  # no zone changes its clocks twice in a day
            if self._offset(after) != offset:
                return self._first_other(before, after, offset)
            before = after
        return None

    def _first_other(self, before: datetime, after: datetime, offset: timedelta) -> datetime:
        while after - before > _SECOND:
            middle = (before + (after - before) / 2).replace(microsecond=0)
            if self._offset(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta(0)
