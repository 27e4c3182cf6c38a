"""How long to wait before trying again, and how often is too often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.backoff import Backoff, Intensity


def test_the_delay_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(initial=1, factor=2, maximum=10)
    assert [backoff.delay(n, pick=lambda: 1.0) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_half_of_the_delay_is_random() -> None:
    backoff = Backoff(initial=4, maximum=4)
    assert backoff.delay(1, pick=lambda: 0.0) == 2
    assert backoff.delay(1, pick=lambda: 0.5) == 3


@given(failures=st.integers(1, 10**6), pick=st.floats(0, 1, exclude_max=True))
def test_the_delay_is_between_half_and_the_whole_however_often_it_failed(
    failures: int, pick: float
) -> None:
    backoff = Backoff()
    whole = backoff.delay(failures, pick=lambda: 1.0)
    assert whole / 2 <= backoff.delay(failures, pick=lambda: pick) <= whole <= backoff.maximum


def test_two_processes_do_not_return_together() -> None:
    assert len({Backoff().delay(3) for _ in range(20)}) > 1


def test_failures_count_for_a_period() -> None:
    intensity = Intensity(limit=2, period=10)
    assert [intensity.record(now) for now in (0, 1, 2, 10.5, 11)] == [1, 2, 3, 3, 3]
    assert intensity.record(100) == 1


@pytest.mark.parametrize(("failures", "allowed"), [(0, True), (2, True), (3, False)])
def test_more_than_the_limit_is_too_many(failures: int, allowed: bool) -> None:
    assert Intensity(limit=2, period=10).allows(failures) is allowed


@given(st.lists(st.floats(0, 100), max_size=50).map(sorted), st.floats(0.1, 50))
def test_the_count_is_of_the_failures_in_the_period(moments: list[float], period: float) -> None:
    intensity = Intensity(limit=5, period=period)
    for index, now in enumerate(moments):
        within = [moment for moment in moments[: index + 1] if moment > now - period]
        assert intensity.record(now) == len(within)
