"""When a timed service is due: at once and then on the grid, or as cron has it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from hosting.schedules import (
    ALL,
    ONCE,
    SKIP,
    CronSchedule,
    IntervalSchedule,
    following,
    parse_interval,
    parse_jitter,
    parse_missed,
    parse_schedule,
)

MOMENTS = st.floats(min_value=0, max_value=4e9)
PERIODS = st.floats(min_value=1e-3, max_value=1e7)


def test_an_interval_is_due_at_once_and_then_at_a_fixed_rate() -> None:
    schedule = IntervalSchedule(10)
    assert schedule.first(100.0) == 100.0
    assert schedule.next_after(100.0, 100.5) == 110.0
    assert schedule.next_after(110.0, 119.9) == 120.0


@pytest.mark.parametrize(
    ("now", "due"),
    [(100.0, 110.0), (109.9, 110.0), (110.0, 110.0), (110.1, 120.0), (125.0, 130.0), (1e6, 1e6)],
)
def test_missed_ticks_are_skipped_and_the_grid_is_kept(now: float, due: float) -> None:
    """Ticks that fell due meanwhile are not made up for."""
    assert IntervalSchedule(10).next_after(100.0, now) == due


def test_a_clock_that_went_backwards_does_not_repeat_a_tick() -> None:
    assert IntervalSchedule(10).next_after(100.0, 50.0) == 110.0


@given(due=MOMENTS, late=st.floats(min_value=0, max_value=1e7), seconds=PERIODS)
def test_the_next_tick_is_later_and_not_before_now(due: float, late: float, seconds: float) -> None:
    assert IntervalSchedule(seconds).next_after(due, due + late) > due
    assert IntervalSchedule(seconds).next_after(due, due + late) >= due + late


@given(due=MOMENTS, late=st.floats(min_value=0, max_value=1e5), seconds=PERIODS)
def test_the_next_tick_is_the_first_of_the_grid_that_is_left(
    due: float, late: float, seconds: float
) -> None:
    now = due + late
    following = IntervalSchedule(seconds).next_after(due, now)
    periods = (following - due) / seconds
    # A float counts seconds of this size to about a millionth.
    assert math.isclose(periods * seconds, round(periods) * seconds, abs_tol=1e-5)
    assert following <= max(now, due) + seconds + 1e-5


@given(
    start=MOMENTS,
    seconds=PERIODS,
    durations=st.lists(st.floats(min_value=0, max_value=1e5), max_size=20),
)
def test_a_row_of_ticks_never_leaves_the_grid(
    start: float, seconds: float, durations: list[float]
) -> None:
    schedule = IntervalSchedule(seconds)
    due = schedule.first(start)
    for duration in durations:
        following = schedule.next_after(due, due + duration)
        assert following > due
        due = following
    periods = (due - start) / seconds
    assert math.isclose(periods * seconds, round(periods) * seconds, abs_tol=1e-3)


def test_the_clocks_move_on() -> None:
    for schedule in (IntervalSchedule(1), CronSchedule("* * * * *")):
        assert schedule.now() <= schedule.now()


def moment(*parts: int, zone: str = "UTC") -> float:
    return datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp()


def test_cron_is_due_at_its_moments() -> None:
    schedule = CronSchedule("*/15 * * * *")
    assert schedule.first(moment(2026, 5, 1, 12, 1)) == moment(2026, 5, 1, 12, 15)
    assert schedule.first(moment(2026, 5, 1, 12, 15)) == moment(2026, 5, 1, 12, 30)
    assert schedule.next_after(moment(2026, 5, 1, 12, 15), moment(2026, 5, 1, 12, 40)) == moment(
        2026, 5, 1, 12, 45
    )


def test_a_cron_tick_is_not_repeated_when_the_clock_goes_backwards() -> None:
    schedule = CronSchedule("0 * * * *")
    due = moment(2026, 5, 1, 12, 0)
    assert schedule.next_after(due, due - 90) == moment(2026, 5, 1, 13, 0)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_cron_is_in_the_time_zone_of_django(zone: str) -> None:
    with override_settings(TIME_ZONE=zone):
        due = CronSchedule("30 7 * * *").first(moment(2026, 1, 10, 12, 0))
    local = datetime.fromtimestamp(due, ZoneInfo(zone))
    assert (local.hour, local.minute) == (7, 30)


def test_cron_through_the_change_to_summer_time_goes_on() -> None:
    with override_settings(TIME_ZONE="Europe/Berlin"):
        schedule = CronSchedule("*/30 * * * *")
        due = moment(2026, 3, 29, 1, 30, zone="Europe/Berlin")
        following = schedule.next_after(due, due)
    assert following == moment(2026, 3, 29, 3, 0, zone="Europe/Berlin") == due + 1800


EXPRESSIONS = st.tuples(
    st.one_of(st.just("*"), st.integers(0, 59).map(str), st.integers(1, 30).map("*/{}".format)),
    st.one_of(st.just("*"), st.integers(0, 23).map(str), st.integers(1, 12).map("*/{}".format)),
    st.one_of(st.just("*"), st.integers(1, 28).map(str)),
    st.one_of(st.just("*"), st.integers(1, 12).map(str)),
    st.one_of(st.just("*"), st.integers(0, 6).map(str)),
).map(" ".join)


@given(
    expression=EXPRESSIONS,
    due=st.integers(0, 3_000_000_000),
    late=st.integers(0, 10_000_000),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "Africa/Lagos"]),
)
def test_cron_agrees_with_cronsim(expression: str, due: int, late: int, zone: str) -> None:
    """Where clocks are changed, `tests.test_cron` looks closer."""
    with override_settings(TIME_ZONE=zone):
        found = CronSchedule(expression).next_after(due, due + late)
    expected = next(CronSim(expression, datetime.fromtimestamp(due + late, ZoneInfo(zone))))
    assert found == expected.timestamp() > due + late


def test_cron_in_a_time_zone_of_its_own() -> None:
    schedule = parse_schedule(cron="30 7 * * *", time_zone="Asia/Kathmandu")
    due = schedule.first(moment(2026, 1, 10, 12, 0))
    assert due == moment(2026, 1, 11, 7, 30, zone="Asia/Kathmandu")
    assert str(schedule) == "cron 30 7 * * * (Asia/Kathmandu)"


def ticks(schedule: Any, missed: str, begin: float, *ends: float) -> list[float]:
    """When ticks are due if the first is at `begin`, and each ends at the next of `ends`."""
    due = [begin]
    for end in ends:
        due.append(following(schedule, missed, due[-1], end))
    return due


@pytest.mark.parametrize(
    ("missed", "due"),
    [
        (SKIP, [0, 40, 50, 60]),
        (ONCE, [0, 30, 40, 50]),
        (ALL, [0, 10, 20, 30]),
    ],
)
def test_what_becomes_of_missed_ticks_of_an_interval(missed: str, due: list[float]) -> None:
    """The first tick lasts until 35, and each of the others a moment."""
    ends = [35, *(max(35, each) + 1 for each in due[1:-1])]
    assert ticks(IntervalSchedule(10), missed, 0, *ends) == due


@pytest.mark.parametrize(
    ("missed", "due"),
    [
        (SKIP, [0, 240, 300]),
        (ONCE, [0, 200, 240]),  # at once, and then the grid
        (ALL, [0, 60, 120]),
    ],
)
def test_what_becomes_of_missed_ticks_of_cron(missed: str, due: list[float]) -> None:
    schedule = CronSchedule("* * * * *", ZoneInfo("UTC"))
    assert ticks(schedule, missed, 0, 200, 201 if missed != SKIP else 241) == due


@pytest.mark.parametrize("missed", [SKIP, ONCE, ALL])
@given(
    durations=st.lists(st.floats(min_value=0, max_value=1e4), max_size=20),
    seconds=st.integers(1, 1000),
)
def test_ticks_never_go_back_whatever_becomes_of_missed_ones(
    missed: str, durations: list[float], seconds: int
) -> None:
    now, schedule, due = 0.0, IntervalSchedule(seconds), 0.0
    for duration in durations:
        now = max(now, due) + duration
        before, due = due, following(schedule, missed, due, now)
        assert due > before
        assert due % seconds == 0
        if missed == ALL:
            assert due == before + seconds
        else:
            assert due > now - seconds


def test_a_tick_that_is_in_time_is_not_missed() -> None:
    for missed in (SKIP, ONCE, ALL):
        assert ticks(IntervalSchedule(10), missed, 0, 4, 14) == [0, 10, 20]


@pytest.mark.parametrize(
    ("jitter", "seconds"), [(0, 0), (2.5, 2.5), (timedelta(seconds=9), 9.0), (9.999, 9.999)]
)
def test_jitter_is_less_than_the_interval(jitter: Any, seconds: float) -> None:
    assert parse_jitter(jitter, IntervalSchedule(10)) == seconds
    assert parse_jitter(timedelta(hours=1), CronSchedule("0 3 * * *")) == 3600


@pytest.mark.parametrize(
    "jitter", [-1, 10, 11.5, timedelta(minutes=1), math.nan, math.inf, True, "1", None]
)
def test_what_is_no_jitter_is_refused_in_words(jitter: Any) -> None:
    with pytest.raises(ValueError, match=r"^jitter is .*, allowed: ") as caught:
        parse_jitter(jitter, IntervalSchedule(10))
    assert repr(jitter) in str(caught.value)


@pytest.mark.parametrize("missed", ["", "SKIP", "twice", None, 1, ["skip"]])
def test_what_is_not_known_to_be_done_about_missed_ticks_is_refused(missed: Any) -> None:
    with pytest.raises(ValueError, match=r"allowed: 'skip', 'once' or 'all'") as caught:
        parse_missed(missed)
    assert str(caught.value).startswith(f"missed is {missed!r}")


@pytest.mark.parametrize("zone", ["Europe/Berln", "", "..", "/etc/passwd", "Europe", "CET\0", 5])
def test_what_is_no_time_zone_is_refused_in_words(zone: Any) -> None:
    with pytest.raises(ValueError, match=r"^time_zone is .*, allowed: the IANA name") as caught:
        parse_schedule(cron="* * * * *", time_zone=zone)
    assert repr(zone) in str(caught.value)
    assert zone != "Europe/Berln" or "did you mean 'Europe/Berlin'?" in str(caught.value)


def test_an_interval_has_no_time_zone() -> None:
    with pytest.raises(ValueError, match="time_zone is 'UTC', allowed: only with cron"):
        parse_schedule(interval=5, time_zone="UTC")


@pytest.mark.parametrize(
    ("interval", "seconds"), [(5, 5.0), (0.5, 0.5), (timedelta(minutes=2), 120.0), (10**9, 1e9)]
)
def test_an_interval_is_a_number_of_seconds_or_a_timedelta(
    interval: object, seconds: float
) -> None:
    assert parse_interval(interval) == seconds
    schedule = parse_schedule(interval=interval)
    assert isinstance(schedule, IntervalSchedule)
    assert str(schedule) == f"every {seconds:g} s"


@pytest.mark.parametrize(
    "interval",
    [0, -1, 0.0, math.nan, math.inf, True, "5", [5], timedelta(0), timedelta(seconds=-1)],
)
def test_what_is_no_interval_is_refused_in_words(interval: object) -> None:
    with pytest.raises(ValueError, match=r"^interval is .*, allowed: ") as caught:
        parse_schedule(interval=interval)
    assert repr(interval) in str(caught.value)


def test_an_interval_beyond_every_float_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="finite"):
        parse_interval(10**400)


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "@daily",
        5,
        "x * * * *",
        "0 0 31 2 *",
        "* * * * 5L/2",
    ],
)
def test_what_is_no_cron_expression_is_refused_in_words(cron: object) -> None:
    with pytest.raises(ValueError, match=r"^cron is .*, allowed: five fields") as caught:
        parse_schedule(cron=cron)
    assert re.escape(repr(cron)) in re.escape(str(caught.value))


def test_exactly_one_of_interval_and_cron_is_needed() -> None:
    with pytest.raises(ValueError, match="found neither"):
        parse_schedule()
    with pytest.raises(ValueError, match="found both"):
        parse_schedule(5, "* * * * *")
    cron = parse_schedule(cron="*/5 * * * *")
    assert isinstance(cron, CronSchedule)
    assert str(cron) == "cron */5 * * * *"
    assert cron.first(cron.now()) > datetime.now(UTC).timestamp()
