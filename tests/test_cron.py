"""When cron is due where clocks are changed, compared with what the clock on the wall shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from hosting.cron import Cron

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)

#: Their clocks change by whole hours, and not at midnight; there cronsim is right about everything.
USUAL = [
    "Africa/Casablanca",
    "America/New_York",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/London",
]

#: By half an hour, or at midnight.
UNUSUAL = [
    "Africa/Cairo",
    "America/Havana",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "Australia/Lord_Howe",
]


@cache
def changes(zone: str) -> list[int]:
    """The moments from 2014 to 2034 at which the clocks of a zone are changed, to six hours."""
    begin = datetime(2014, 1, 1, tzinfo=UTC)
    moments = [begin + timedelta(hours=6) * number for number in range(4 * 365 * 20)]
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in moments]
    pairs = zip(moments, offsets, offsets[1:], strict=False)
    return [int(moment.timestamp()) for moment, before, after in pairs if before != after]


class Field(NamedTuple):
    text: str
    values: frozenset[int]


EVERY_DAY = Field("*", frozenset(range(7)))


def listed(last: int) -> st.SearchStrategy[Field]:
    """A field with some of the numbers up to `last`."""
    return st.sets(st.integers(0, last), min_size=1, max_size=3).map(
        lambda chosen: Field(",".join(map(str, sorted(chosen))), frozenset(chosen))
    )


def field(last: int) -> st.SearchStrategy[Field]:
    """A field of a cron expression, and the numbers that match it."""
    whole = range(last + 1)
    starred = st.sampled_from([1, 2, 5, 7, 15, 20]).map(
        lambda step: Field("*" if step == 1 else f"*/{step}", frozenset(whole[::step]))
    )
    return st.one_of(starred, listed(last))


class Expression(NamedTuple):
    minute: Field
    hour: Field
    weekday: Field

    def __str__(self) -> str:
        return f"{self.minute.text} {self.hour.text} * * {self.weekday.text}"

    @property
    def is_fixed(self) -> bool:
        return self.minute.text[0] != "*" and self.hour.text[0] != "*"

    def matches(self, wall: datetime) -> bool:
        return (
            wall.minute in self.minute.values
            and wall.hour in self.hour.values
            and wall.isoweekday() % 7 in self.weekday.values
        )


EXPRESSIONS = st.builds(
    Expression,
    field(59),
    st.one_of(field(23), listed(3)),  # most clocks are changed in the first hours of a day
    st.one_of(st.just(EVERY_DAY), listed(6)),
)


@st.composite
def near_changes(draw: st.DrawFn, zones: list[str]) -> tuple[str, float]:
    """A zone, and a moment near a change of its clocks."""
    zone = draw(st.sampled_from(zones))
    moment = draw(st.sampled_from(changes(zone))) + draw(st.integers(-60, 7 * 60)) * 60
    return zone, moment + draw(st.sampled_from([0, 0, 0.25, 59.5]))


def slots(expression: Expression, zone: str, moment: float) -> Iterator[datetime]:
    """What is due from some hours before a moment to a day after it.

    Found by looking at the wall every minute.
    """
    at = datetime.fromtimestamp(moment // 60 * 60, UTC) - DAY / 4
    furthest = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    for _ in range(30 * 60):
        at += MINUTE
        wall = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        if not expression.is_fixed:
            is_due = expression.matches(wall)
        else:  # due as soon as the wall shows that time, or a later one
            is_due = False
            while furthest < wall:
                furthest += MINUTE
                is_due = is_due or expression.matches(furthest)
        if is_due:
            yield at


@given(expression=EXPRESSIONS, where=near_changes(USUAL + UNUSUAL))
def test_nothing_is_skipped_or_repeated_when_clocks_are_changed(
    expression: Expression, where: tuple[str, float]
) -> None:
    zone, moment = where
    found = Cron(str(expression), ZoneInfo(zone)).after(moment)
    assert found > moment
    later = [due for each in slots(expression, zone, moment) if (due := each.timestamp()) > moment]
    end = moment // 60 * 60 + DAY.total_seconds()
    assert found == later[0] if later else found > end


@given(expression=EXPRESSIONS, where=near_changes(USUAL))
def test_it_agrees_with_cronsim_where_clocks_change_by_whole_hours(
    expression: Expression, where: tuple[str, float]
) -> None:
    zone, moment = where
    simulated = CronSim(str(expression), datetime.fromtimestamp(moment, ZoneInfo(zone)))
    expected = next(due for each in simulated if (due := each.timestamp()) > moment)
    assert Cron(str(expression), ZoneInfo(zone)).after(moment) == expected


@given(expression=EXPRESSIONS.filter(lambda each: each.is_fixed), where=near_changes(UNUSUAL))
@example(
    Expression(Field("15", frozenset({15})), Field("2", frozenset({2})), EVERY_DAY),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 0, tzinfo=UTC).timestamp()),
)
def test_fixed_times_agree_with_cronsim_everywhere(
    expression: Expression, where: tuple[str, float]
) -> None:
    zone, moment = where
    simulated = CronSim(str(expression), datetime.fromtimestamp(moment, ZoneInfo(zone)))
    expected = next(due for each in simulated if (due := each.timestamp()) > moment)
    assert Cron(str(expression), ZoneInfo(zone)).after(moment) == expected


def on_the_wall(expression: str, zone: str, day: tuple[int, int, int]) -> list[str]:
    """When it is due on this day: local times, with the offset from UTC."""
    begin = datetime(*day, tzinfo=ZoneInfo(zone))
    due, found = begin.timestamp() - 1, []
    while (local := datetime.fromtimestamp(due, ZoneInfo(zone))).date() <= begin.date():
        found.append(f"{local:%H:%M%z}"[:8])
        due = Cron(expression, ZoneInfo(zone)).after(due)
    return found[1:]


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("30 2 * * *", ["03:00+02"]),
        ("0,15,30 2 * * *", ["03:00+02"]),
        ("30 2,3 * * *", ["03:00+02", "03:30+02"]),
        ("0 2,3 * * *", ["03:00+02"]),
        ("*/15 2 * * *", []),
        ("30 */8 * * *", ["00:30+01", "08:30+02", "16:30+02"]),
        ("*/30 1-3 * * *", ["01:00+01", "01:30+01", "03:00+02", "03:30+02"]),
    ],
)
def test_when_the_clocks_in_berlin_skip_from_two_to_three(expression: str, due: list[str]) -> None:
    assert on_the_wall(expression, "Europe/Berlin", (2026, 3, 29)) == due


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("30 2 * * *", ["02:30+02"]),
        ("0,30 2 * * *", ["02:00+02", "02:30+02"]),
        ("*/30 2 * * *", ["02:00+02", "02:30+02", "02:00+01", "02:30+01"]),
        ("30 2-3 * * *", ["02:30+02", "03:30+01"]),
    ],
)
def test_when_the_clocks_in_berlin_show_two_to_three_twice(expression: str, due: list[str]) -> None:
    assert on_the_wall(expression, "Europe/Berlin", (2026, 10, 25)) == due


def test_in_the_repeated_hour_the_next_fixed_time_is_not_an_earlier_one() -> None:
    """cronsim by itself gives 02:45 of the first time, which is over."""
    again = datetime(2026, 10, 25, 2, 15, tzinfo=ZoneInfo("Europe/Berlin"), fold=1).timestamp()
    due = Cron("45 2 * * *", ZoneInfo("Europe/Berlin")).after(again)
    assert due == datetime(2026, 10, 26, 2, 45, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


def test_where_clocks_change_by_half_an_hour_no_quarter_is_lost() -> None:
    """cronsim by itself goes from 02:30 to 03:30 here."""
    due = on_the_wall("*/15 3 * * *", "Australia/Lord_Howe", (2026, 10, 4))
    assert due == ["03:00+11", "03:15+11", "03:30+11", "03:45+11"]


def test_what_comes_years_later_is_found() -> None:
    due = Cron("*/20 5 29 2 *", ZoneInfo("Europe/Berlin")).after(
        datetime(2096, 2, 29, 5, 40, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    )
    assert due == datetime(2104, 2, 29, 5, 0, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
