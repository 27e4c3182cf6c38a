"""Which slots are due, and what becomes of missed ones: pure functions of moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.queues.scheduling.slots import (
    LATE,
    CronGrid,
    Grid,
    IntervalGrid,
    grid_of,
    what_is_due,
)
from hosting.queues.stores.scheduled import Definition
from hosting.schedules import ALL, ONCE, SKIP

BEGIN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)

MINUTELY = CronGrid("* * * * *", ZoneInfo("UTC"))
GRIDS: list[Grid] = [
    MINUTELY,
    CronGrid("*/20 3 * * *", ZoneInfo("Europe/Berlin")),
    CronGrid("30 2 1 * *", ZoneInfo("America/New_York")),
    CronGrid("0 0 29 2 *", ZoneInfo("UTC")),
    IntervalGrid(BEGIN, timedelta(seconds=0.1)),
    IntervalGrid(BEGIN, 7 * SECOND),
    IntervalGrid(BEGIN, timedelta(days=3)),
]


def at(minutes: float) -> datetime:
    return BEGIN + minutes * MINUTE


def test_slots_of_an_interval_are_its_multiples_from_the_second_on() -> None:
    grid = IntervalGrid(BEGIN, 10 * MINUTE)
    assert [grid.after(at(each)) for each in (-60, 0, 9.9, 10, 10.1)] == list(
        map(at, [10, 10, 10, 20, 20])
    )


def test_nothing_is_due_before_the_next_slot() -> None:
    for missed in (SKIP, ONCE, ALL):
        assert what_is_due(MINUTELY, missed, at(0), at(0.99)) is None


@pytest.mark.parametrize("missed", [SKIP, ONCE, ALL])
def test_a_slot_that_is_in_time_is_due_whatever_becomes_of_missed_ones(missed: str) -> None:
    for late in (timedelta(0), SECOND, LATE):
        due = what_is_due(IntervalGrid(BEGIN, 10 * MINUTE), missed, at(0), at(10) + late)
        assert due is not None
        assert due.slots == (at(10),)
        assert due.handled_until == at(10)
        assert due.skipped_from is None


@pytest.mark.parametrize(
    ("missed", "slots"),
    [
        (SKIP, [39, 40]),
        (ONCE, [38, 39, 40]),
        (ALL, list(range(1, 41))),
    ],
)
def test_what_becomes_of_slots_that_are_more_than_a_minute_late(
    missed: str, slots: list[int]
) -> None:
    due = what_is_due(MINUTELY, missed, at(0), at(40))
    assert due is not None
    assert due.slots == tuple(map(at, slots))
    assert due.handled_until == at(40)
    assert due.skipped_from == (None if missed == ALL else at(1))
    assert what_is_due(MINUTELY, missed, due.handled_until, at(40.9)) is None


def test_a_single_missed_slot_is_not_left_out_if_one_job_is_for_all() -> None:
    due = what_is_due(IntervalGrid(BEGIN, 60 * MINUTE), ONCE, at(0), at(90))
    assert due is not None
    assert due.slots == (at(60),)
    assert due.skipped_from is None


def test_what_is_left_out_is_said_and_then_dealt_with() -> None:
    grid = IntervalGrid(BEGIN, 60 * MINUTE)
    due = what_is_due(grid, SKIP, at(0), at(90))
    assert due is not None
    assert (due.slots, due.skipped_from) == ((), at(60))
    assert what_is_due(grid, SKIP, due.handled_until, at(91)) is None
    assert grid.after(due.handled_until) == at(120)


def test_all_missed_slots_come_in_order_a_part_at_a_time() -> None:
    handled, found = at(0), []
    while due := what_is_due(MINUTELY, ALL, handled, at(25.5), at_once=10):
        assert 0 < len(due.slots) <= 10
        found += due.slots
        handled = due.handled_until
    assert found == [at(each) for each in range(1, 26)]


@given(
    grid=st.sampled_from(GRIDS),
    missed=st.sampled_from([SKIP, ONCE]),
    steps=st.lists(st.integers(0, 200), min_size=1, max_size=10),
    outage=st.sampled_from([0, 50, 70, 3_700, 90_000, 40_000_000]),
)
def test_no_slot_comes_twice_and_none_in_time_is_lost(
    grid: Grid, missed: str, steps: list[int], outage: int
) -> None:
    """However often one looks; compared with walking from slot to slot."""
    now = handled = at(0)
    found: list[datetime] = []
    for step in [*steps, outage, *steps]:
        before, now = now, now + step * SECOND
        while due := what_is_due(grid, missed, handled, now):
            assert due.handled_until > handled
            found += due.slots
            handled = due.handled_until
        recent, begin = [], max(before, now - LATE) - timedelta(microseconds=1)
        while (begin := grid.after(begin)) <= now:
            recent.append(begin)
        assert set(recent) - {at(0)} <= set(found)
    assert found == sorted(set(found))
    assert all(at(0) < slot <= now for slot in found)


@given(
    grid=st.sampled_from(GRIDS),
    seconds=st.integers(0, 100_000_000),
)
def test_the_latest_slot_before_a_moment_is_found(grid: Grid, seconds: int) -> None:
    first = grid.after(BEGIN)
    moment = first + max(1, seconds) * SECOND
    latest = grid.latest_before(moment, first)
    assert first <= latest < moment
    assert grid.after(latest) >= moment


def test_a_definition_without_a_zone_is_in_that_of_django() -> None:
    nightly = Definition(name="a", task_path="a.b", cron="0 3 * * *")
    assert grid_of(nightly, BEGIN).after(BEGIN) == datetime(2026, 5, 2, 3, 0, tzinfo=UTC)
    tehran = Definition(name="a", task_path="a.b", cron="0 3 * * *", time_zone="Asia/Tehran")
    assert grid_of(tehran, BEGIN).after(BEGIN) == datetime(2026, 5, 1, 23, 30, tzinfo=UTC)
