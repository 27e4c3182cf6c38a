"""The times of leases: who is told when, and that all of it fits into LEASE_TIMEOUT."""

from hypothesis import given
from hypothesis import strategies as st

from hosting.leadership.timing import Timing

TIMEOUTS = st.floats(min_value=1, max_value=1e6)
SIZES = st.integers(min_value=0, max_value=10_000)


@given(timeout=TIMEOUTS)
def test_a_holder_stops_well_before_another_may_begin(timeout: float) -> None:
    timing = Timing(timeout)
    assert timing.held <= timing.duration - timeout / 10


@given(timeout=TIMEOUTS)
def test_two_renewals_may_fail_before_the_lease_is_lost(timeout: float) -> None:
    timing = Timing(timeout)
    assert 3 * timing.renewal <= timing.held * (1 + 1e-9)


@given(timeout=TIMEOUTS, standing_by=SIZES)
def test_somebody_takes_over_in_time(timeout: float, standing_by: int) -> None:
    timing = Timing(timeout)
    assert timing.duration + timing.look(standing_by) <= timeout * 0.95


@given(standing_by=SIZES)
def test_few_take_over_within_a_second(standing_by: int) -> None:
    assert 0.4 <= Timing(15).look(min(standing_by, 6)) <= 0.75


def test_many_share_the_looks() -> None:
    """Twenty together look some ten times a second, and not twenty times as often as one."""
    looks = sum(20 / Timing(15).look(20) for _ in range(1000)) / 1000
    assert looks < 11
