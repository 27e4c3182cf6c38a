"""Time-ordered ids."""

from __future__ import annotations

import time
import uuid

import pytest

from hosting.ids import uuid7, uuid7_at, uuid7s
from tests.host.helpers import on_threads


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = uuid7()
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_an_id_holds_the_time_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = uuid7().int >> 80
    # Ids made faster than the clock ticks are ahead of it, by no more than a moment.
    assert before <= milliseconds <= time.time_ns() // 1_000_000 + 1000


def test_a_moment_divides_the_ids() -> None:
    before = uuid7()
    bound = uuid7_at(time.time() + 2)
    assert before < bound
    assert uuid7_at((before.int >> 80) / 1000) < before
    assert uuid7_at(1.0) < uuid7_at(1.5)
    assert bound.version == 7


def test_later_ids_are_greater() -> None:
    made = [uuid7() for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_many_at_once_are_greater_than_those_before_and_less_than_those_after() -> None:
    made = [uuid7(), *uuid7s(10_000), *uuid7s(10_000), uuid7()]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {each.version for each in made} == {7}


def test_later_ids_are_greater_when_the_clock_goes_backwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert uuid7() > first


def test_ids_of_many_threads_differ_and_each_thread_sees_them_grow() -> None:
    made = [runner.result() for runner in on_threads(*[lambda: [uuid7() for _ in range(2000)]] * 8)]
    assert all(ids == sorted(ids) for ids in made)
    assert len({found for ids in made for found in ids}) == 16_000
