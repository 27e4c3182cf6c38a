"""How many jobs are claimed ahead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.queues.pace import AHEAD, LARGEST, SLOW, Pace, Room


def pace_of(seconds: float, concurrency: int = 4, trusted: bool = True) -> Pace:
    """A pace that knows how long jobs take, and that there are many of them."""
    pace = Pace(concurrency)
    pace.note(seconds, 1)
    while trusted and pace.wanted(LARGEST, 0) < LARGEST:
        pace.trust(pace.wanted(LARGEST, 0), LARGEST)
    return pace


def test_as_long_as_nothing_is_known_one_for_each_thread() -> None:
    pace = Pace(4)

    assert (pace.seconds, pace.ahead(), pace.is_slow) == (None, 0, True)
    assert [pace.wanted(idle, 0) for idle in (4, 1, 0)] == [4, 1, 0]
    assert [pace.wanted(2, waiting) for waiting in (0, 1, 2, 3)] == [2, 1, 0, 0]
    assert pace.threads(3) == 3


@pytest.mark.parametrize(
    ("seconds", "ahead", "is_slow"),
    [
        (60.0, 0, True),
        (0.1, 0, True),
        (0.02, 4, True),
        (0.001, 80, False),
        (0.0001, 800, False),
        (0.000_000_1, 2 * LARGEST, False),
        (0.0, 2 * LARGEST, False),
    ],
)
def test_how_many_wait_here(seconds: float, ahead: int, is_slow: bool) -> None:
    pace = pace_of(seconds)

    assert pace.ahead() == pytest.approx(ahead, abs=1)
    assert pace.is_slow is is_slow


@pytest.mark.parametrize(
    ("idle", "waiting", "wanted"),
    [
        (4, 0, 84),
        (4, 10, 74),
        (0, 39, 41),
        (0, 40, 40),
        (0, 41, 0),  # refilled at half
        (2, 41, 0),
        (50, 41, 89),  # but whoever is idle gets something
        (0, 100, 0),
    ],
)
def test_how_many_are_claimed(idle: int, waiting: int, wanted: int) -> None:
    assert pace_of(0.001).wanted(idle, waiting) == pytest.approx(wanted, abs=1)


def test_one_slow_job_is_enough_to_say_that_jobs_are_slow() -> None:
    pace = pace_of(0.0001)
    pace.note(5.0, 1)
    assert (pace.seconds, pace.ahead()) == (5.0, 0)

    needed = 0
    while pace.ahead() < 80:
        pace.note(0.0001 * 100, 100)
        needed += 1
    assert 20 < needed < 60


def test_claims_grow_as_long_as_they_are_full() -> None:
    pace, claims = pace_of(0.000_01, trusted=False), []
    for _ in range(9):
        claims.append(pace.wanted(4, 0))
        pace.trust(claims[-1], claims[-1])
    assert claims == [4, 8, 16, 32, 64, 128, 256, 500, 500]

    pace.trust(500, 20)
    assert pace.wanted(4, 0) == 40
    pace.trust(40, 0)
    assert pace.wanted(4, 0) == 4


@pytest.mark.parametrize(("waiting", "threads"), [(0, 1), (1, 1), (10, 1), (100, 10)])
def test_threads_are_woken_when_it_is_worth_it(waiting: int, threads: int) -> None:
    assert pace_of(0.001).threads(waiting) == threads


@given(
    st.floats(0, 100),
    st.integers(1, 64),
    st.integers(0, 64),
    st.integers(0, 2000),
    st.lists(st.tuples(st.integers(1, LARGEST), st.integers(0, LARGEST)), max_size=5),
)
def test_bounds(
    seconds: float, concurrency: int, idle: int, waiting: int, claims: list[tuple[int, int]]
) -> None:
    pace = pace_of(seconds, concurrency, trusted=False)
    for limit, claimed in claims:
        pace.trust(limit, min(limit, claimed))

    wanted = pace.wanted(idle, waiting)
    assert 0 <= wanted <= LARGEST
    assert waiting + wanted <= max(waiting, idle + pace.ahead())
    if idle > waiting:
        assert wanted > 0  # nobody is idle while there may be work
    if seconds > AHEAD * concurrency:
        assert wanted == max(0, min(idle - waiting, wanted))


def test_room_grows_with_every_transaction_that_had_time_for_all() -> None:
    room, rooms = Room(20, 0.01), []
    for _ in range(7):
        rooms.append(room.jobs)
        room.note(room.jobs, room.jobs, 0.001)
    assert rooms == [1, 2, 4, 8, 16, 20, 20]


def test_few_jobs_take_no_room_away() -> None:
    room = Room(20, 0.01)
    room.note(16, 16, 0.001)
    room.note(1, 1, 0.001)
    assert room.jobs == 20


def test_room_shrinks_to_what_there_was_time_for() -> None:
    room = Room(20, 0.01)
    room.note(10, 10, 0.001)
    room.note(20, 7, 0.011)
    assert room.jobs == 7


def test_after_a_long_job_each_is_alone_at_first() -> None:
    room = Room(20, 0.01)
    room.note(10, 10, 0.001)
    room.note(20, 1, 0.01 * SLOW * 1.1)
    assert room.jobs == 1
