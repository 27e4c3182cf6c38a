"""The alarm: one thread, many deadlines, and none of them can spoil the others."""

from __future__ import annotations

import itertools
import os
import threading
import time

import pytest

from hosting.alarm import MANY, Alarm
from tests.host.helpers import PATIENCE


def rung_in_order(alarm: Alarm, *deadlines: float) -> list[float]:
    rung: list[float] = []
    last = threading.Semaphore(0)

    def ring(deadline: float) -> None:
        rung.append(deadline)
        last.release()

    for deadline in deadlines:
        alarm.ring_at(deadline, lambda deadline=deadline: ring(deadline))
    for _ in deadlines:
        assert last.acquire(timeout=PATIENCE)
    return rung


def test_it_rings_when_it_is_time_and_not_sooner() -> None:
    moment = time.monotonic() + 0.02
    rung: list[float] = []
    done = threading.Event()

    def ring() -> None:
        rung.append(time.monotonic())
        done.set()

    Alarm().ring_at(moment, ring)
    assert done.wait(PATIENCE)
    assert rung[0] >= moment


def test_it_rings_for_every_deadline_whatever_their_order() -> None:
    now = time.monotonic()
    for order in itertools.permutations((now - 1, now + 0.001, now + 0.002)):
        assert sorted(rung_in_order(Alarm(), *order)) == sorted(order)


def test_equal_deadlines_all_ring() -> None:
    moment = time.monotonic() + 0.001
    assert rung_in_order(Alarm(), *[moment] * 5) == [moment] * 5


def test_a_deadline_that_never_comes_hinders_no_other() -> None:
    alarm = Alarm()
    alarm.ring_at(float("inf"), lambda: None)
    alarm.ring_at(time.monotonic() + 1e15, lambda: None)
    assert rung_in_order(alarm, time.monotonic()) != []


@pytest.mark.parametrize("error", [ValueError, SystemExit])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_one_deadline_raises_hinders_no_other(error: type[BaseException]) -> None:
    alarm = Alarm()

    def fail() -> None:
        raise error

    alarm.ring_at(time.monotonic(), fail)
    assert rung_in_order(alarm, time.monotonic() + 0.01) != []


def test_what_one_deadline_takes_to_do_hinders_no_other() -> None:
    """Its callbacks are anybody's; the deadlines are of the whole process."""
    alarm, hold = Alarm(), threading.Event()
    alarm.ring_at(time.monotonic(), lambda: hold.wait(PATIENCE))
    rung = threading.Event()
    alarm.ring_at(time.monotonic() + 0.01, rung.set)
    try:
        assert rung.wait(PATIENCE / 4)
    finally:
        hold.set()


def test_a_process_that_was_forked_has_an_alarm_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads do not survive a fork, and uWSGI's forks tell nobody."""
    alarm = Alarm()
    assert rung_in_order(alarm, time.monotonic()) != []
    parents = alarm._thread
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert rung_in_order(alarm, time.monotonic()) != []
    assert alarm._thread is not parents


def test_what_is_moot_does_not_ring() -> None:
    alarm, rung = Alarm(), threading.Event()
    moment = time.monotonic() + 0.01
    alarm.ring_at(moment, rung.set, lambda: True)

    assert rung_in_order(alarm, moment) == [moment]
    assert not rung.is_set()


def test_what_is_moot_does_not_pile_up() -> None:
    alarm = Alarm()
    over: set[int] = set()
    for number in range(10 * MANY):
        alarm.ring_at(float("inf"), lambda: None, lambda number=number: number in over)
        over.add(number)

    assert len(alarm._pending) < MANY
    assert rung_in_order(alarm, time.monotonic()) != []


def test_all_may_be_moot_also_the_one_that_is_set() -> None:
    alarm = Alarm()
    for _ in range(2 * MANY):
        alarm.ring_at(float("inf"), lambda: None, lambda: True)

    assert rung_in_order(alarm, time.monotonic()) != []


def test_many_that_are_not_moot_stay() -> None:
    alarm, done = Alarm(), threading.Semaphore(0)
    for number in range(2 * MANY):
        alarm.ring_at(time.monotonic() + number / 1e5, done.release, lambda: False)

    for _ in range(2 * MANY):
        assert done.acquire(timeout=PATIENCE)
