"""Signs of life of a service, by a clock that the test moves."""

from __future__ import annotations

import pytest

from hosting.services import Condition, Health
from hosting.vitals import Vitals

NEVER = float("inf")


class Patient:
    """The vitals of a service that has begun to run, and what was announced of them."""

    def __init__(self, watchdog: float | None = 60.0) -> None:
        self.now = 1000.0
        self.told: list[tuple[Condition, Condition]] = []
        self.vitals = Vitals(
            watchdog,
            lambda old, new: self.told.append((old.condition, new.condition)),
            clock=lambda: self.now,
        )
        self.vitals.begin()

    @property
    def condition(self) -> Condition:
        return self.vitals.health().condition


def test_one_who_says_nothing_in_time_is_stuck() -> None:
    patient = Patient()
    patient.now += 60
    assert patient.vitals.health() == Health()
    patient.now += 35
    assert patient.vitals.health() == Health(
        Condition.STUCK, "no sign of life for 95 s, allowed: 60 s"
    )


def test_each_beat_gives_the_whole_time_again() -> None:
    patient = Patient()
    for _ in range(5):
        patient.now += 59
        patient.vitals.beat()
    assert patient.condition is Condition.HEALTHY
    patient.now += 61
    assert patient.condition is Condition.STUCK
    patient.vitals.beat()
    assert patient.condition is Condition.HEALTHY


def test_a_pause_that_was_told_of_comes_on_top() -> None:
    patient = Patient()
    patient.vitals.beat(3600)
    patient.now += 3659
    assert patient.condition is Condition.HEALTHY
    patient.now += 2
    assert patient.condition is Condition.STUCK
    patient.vitals.beat(NEVER)
    patient.now += 1e9
    assert patient.condition is Condition.HEALTHY


def test_one_part_that_goes_on_does_not_hide_one_that_does_not() -> None:
    patient = Patient()
    patient.vitals.beat(part="2")
    patient.now += 61
    patient.vitals.beat(NEVER)
    assert patient.condition is Condition.STUCK
    patient.vitals.beat(part="2")
    assert patient.condition is Condition.HEALTHY


def test_nothing_is_expected_without_a_watchdog_nor_after_the_end() -> None:
    free, ended = Patient(watchdog=None), Patient()
    ended.vitals.end()
    ended.vitals.beat()
    for patient in (free, ended):
        patient.now += 1e9
        assert patient.condition is Condition.HEALTHY


def test_stuck_counts_for_more_than_degraded_and_hides_it_only_meanwhile() -> None:
    patient = Patient()
    patient.vitals.degrade("half of it")
    assert patient.vitals.health() == Health(Condition.DEGRADED, "half of it")
    patient.now += 61
    assert patient.condition is Condition.STUCK
    patient.vitals.beat()
    assert patient.condition is Condition.DEGRADED
    patient.vitals.recover()
    assert patient.condition is Condition.HEALTHY


def test_only_a_change_is_announced() -> None:
    patient = Patient()
    for reason in ("one", "two", ""):
        patient.vitals.degrade(reason)
    patient.vitals.recover()
    patient.vitals.recover()
    assert patient.told == [
        (Condition.HEALTHY, Condition.DEGRADED),
        (Condition.DEGRADED, Condition.HEALTHY),
    ]


def test_a_reason_that_is_empty_is_one_all_the_same() -> None:
    patient = Patient()
    patient.vitals.degrade("")
    assert patient.vitals.health() == Health(Condition.DEGRADED, "it has given no reason")


@pytest.mark.parametrize("condition", Condition)
def test_one_condition_is_healthy(condition: Condition) -> None:
    assert condition.is_healthy is (condition.value == "healthy")
