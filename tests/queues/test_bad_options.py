"""Every bad value is refused where it is declared, by one error that says all there is to say."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

import hosting
from hosting import Backoff, Concurrency, Rate, Unique
from hosting.compat import InvalidTask
from tests.queues import declaring

COUNT = "a whole number from 1 to 1000000"
SECONDS = "seconds or a timedelta, more than 0 and at most 100 years"
KEY = (
    "the name or position of an argument, a tuple of them, "
    "a function (args, kwargs) -> str, or None"
)
RATE = "a text such as '10/m', '100/h' or '5/30s' (units s, m, h, d), a Rate, or None"
ERRORS = "a class of exceptions, a tuple of them, or None"
BACKOFF = "a Backoff, a function of the number of failures, or None"
PARTS = "the arguments of the task, 'order', 'copies', 'urgent', or their positions from 0"
NAN, INF = float("nan"), float("inf")


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError


BAD: list[tuple[str, Any, str]] = [
    *[
        ("max_attempts", value, f"max_attempts is {value!r}, allowed: {COUNT}, or None")
        for value in (0, -1, 1.0, "3", True, 10**6 + 1, [1], 10**70, NAN)
    ],
    *[
        ("timeout", value, f"timeout is {value!r}, allowed: {SECONDS}, or None")
        for value in (0, -1, "30", True, NAN, INF, 1e300, timedelta(0), timedelta.max)
    ],
    *[
        ("expires", value, f"{value!r}, allowed: {SECONDS}, an aware datetime, or None")
        for value in (0, -0.5, "tomorrow", False, -INF, timedelta(-1), datetime(2030, 1, 1))
    ],
    *[
        ("backoff", value, f"backoff is {value!r}, allowed: {BACKOFF}")
        for value in (5, "exponential", Backoff, True, [1, 2])
    ],
    ("backoff", Backoff(initial=-1), "backoff.initial is -1, allowed: a number from 0 to"),
    ("backoff", Backoff(factor=0.5), "backoff.factor is 0.5, allowed: a number from 1 to 1000"),
    ("backoff", Backoff(factor=1e10), "backoff.factor is 10000000000.0, allowed"),
    ("backoff", Backoff(maximum=INF), "backoff.maximum is inf, allowed: a number from 0 to"),
    *[
        (option, value, f"{option} is {value!r}, allowed: {ERRORS}")
        for option in ("retry_on", "give_up_on")
        for value in (ValueError("x"), "ValueError", [OSError], (OSError, int), True, int)
    ],
    *[
        ("unique", value, f"unique is {value!r}, allowed: True, False, the name of an argument")
        for value in (1, ("order",), Unique, 0.5)
    ],
    ("unique", "ordre", f"unique.key is 'ordre', allowed: {PARTS}"),
    ("unique", Unique(key="context"), f"unique.key is 'context', allowed: {PARTS}"),
    ("unique", Unique(key=2), f"unique.key is 2, allowed: {PARTS}"),
    ("unique", Unique(key=-1), f"unique.key is -1, allowed: {PARTS}"),
    ("unique", Unique(key=("order", 9)), f"unique.key is 9, allowed: {PARTS}"),
    ("unique", Unique(key=True), f"unique.key is True, allowed: {KEY}"),
    ("unique", Unique(key=["order"]), f"unique.key is ['order'], allowed: {KEY}"),
    ("unique", Unique(key=(1.0,)), f"unique.key is (1.0,), allowed: {KEY}"),
    ("unique", Unique(until="never"), "unique.until is 'never', allowed: 'started' or 'finished'"),
    ("unique", Unique(until=None), "unique.until is None, allowed: 'started'"),
    ("unique", Unique(period=0), f"unique.period is 0, allowed: {SECONDS}, or None"),
    ("unique", Unique(until="started", period=5), "allowed: either until or a period, not both"),
    *[
        ("concurrency", value, f"{value!r}, allowed: {COUNT}, a Concurrency, or None")
        for value in (0, -2, "2", 1.5, True, Rate(1, 1))
    ],
    ("concurrency", Concurrency(0), f"concurrency.limit is 0, allowed: {COUNT}"),
    ("concurrency", Concurrency(2, key="user"), f"concurrency.key is 'user', allowed: {PARTS}"),
    ("concurrency", Concurrency(2, key=1.5), f"concurrency.key is 1.5, allowed: {KEY}"),
    *[
        ("rate", text, f"rate is {text!r}, allowed: {RATE}")
        for text in ["", "10", "10/", "/m", "10/w", "-1/m", "0/m", "5/0s", "1.5/s", "1/m/s"]
    ],
    ("rate", "\u0661/m", f"rate is '\u0661/m', allowed: {RATE}"),
    *[("rate", value, f"rate is {value!r}, allowed: {RATE}") for value in (10, (10, 60), True)],
    ("rate", "9999999/s", f"rate is '9999999/s', allowed: {RATE}"),
    ("rate", "1/999999999d", f"rate is '1/999999999d', allowed: {RATE}"),
    ("rate", Rate(0, 60), f"rate.count is 0, allowed: {COUNT}"),
    ("rate", Rate(5, -1), f"rate.per is -1, allowed: {SECONDS}"),
    ("rate", Rate(5, timedelta(0)), f"allowed: {SECONDS}"),
    ("rate", Rate(5, "m"), f"rate.per is 'm', allowed: {SECONDS}"),
    ("rate", Rate(5, 60, key="user"), f"rate.key is 'user', allowed: {PARTS}"),
    *[
        ("atomic", value, f"atomic is {value!r}, allowed: True or False")
        for value in (1, 0, "yes", None)
    ],
    *[
        ("priority", value, f"priority is {value!r}, allowed: a whole number from -100 to 100")
        for value in (101, -101, 1.5, "high", NAN)
    ],
    ("queue_name", 5, "queue_name is 5, allowed: a name"),
    ("queue_name", "", "queue_name is '', allowed: a name"),
    ("run_after", 60, "run_after is 60, allowed: an aware datetime, a timedelta in using(), or"),
    ("run_after", datetime(2030, 1, 1), "allowed: an aware datetime"),
    ("max_attempts", Unshowable(), "max_attempts is a Unshowable, allowed"),
    ("timeout", "x" * 500, "x…, allowed: seconds"),
]


@pytest.mark.parametrize(("option", "value", "words"), BAD)
def test_using_refuses(option: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidTask) as raised:
        declaring.send.using(**{option: value})

    text = str(raised.value)
    assert text.startswith("Task 'tests.queues.declaring.send': ")
    assert words in text
    assert option in text
    assert len(text) < 400


@pytest.mark.parametrize(
    ("option", "value", "words"), [bad for bad in BAD if bad[0] not in ("run_after",)]
)
def test_the_decorator_refuses(option: str, value: Any, words: str) -> None:
    make: Any = hosting.task(**{option: value})
    with pytest.raises(InvalidTask) as raised:
        make(declaring.send.func)

    assert words in str(raised.value)


def test_a_coroutine_function_is_not_atomic() -> None:
    words = r"declaring\.fetch': atomic is True, allowed: False, as the task is a coroutine"
    with pytest.raises(InvalidTask, match=words):
        declaring.fetch.using(atomic=True)


@pytest.mark.parametrize(
    ("concurrency", "rate"),
    [
        (Concurrency(2, key="order"), "10/m"),
        (2, Rate(10, 60, key="order")),
        (Concurrency(2, key="order"), Rate(10, 60, key="copies")),
        (Concurrency(2, key=declaring.by_account), Rate(10, 60, key="order")),
    ],
)
def test_two_limits_have_one_key(concurrency: Any, rate: Any) -> None:
    with pytest.raises(InvalidTask, match=r"rate\.key is .*both limits of a task count by one key"):
        declaring.send.using(concurrency=concurrency, rate=rate)


@pytest.mark.parametrize(
    ("concurrency", "rate"),
    [
        (2, "10/m"),
        (Concurrency(2, key=()), "10/m"),
        (Concurrency(2, key="order"), Rate(10, 60, key=0)),
        (Concurrency(2, key=("order", "copies")), Rate(10, 60, key=("copies", 0))),
        (Concurrency(2, key=declaring.by_account), Rate(10, 60, key=declaring.by_account)),
    ],
)
def test_two_spellings_of_a_key_are_one(concurrency: Any, rate: Any) -> None:
    assert declaring.send.using(concurrency=concurrency, rate=rate).rate == rate


def test_the_context_is_no_argument() -> None:
    assert declaring.report.using(unique=Unique(key=0)).unique == Unique(key=0)
    with pytest.raises(InvalidTask, match=r"'context', allowed: .*, 'order', or their positions"):
        declaring.report.using(unique="context")


def test_named_arguments_need_no_parameter() -> None:
    unique = Unique(key=("anything", 0, 7))

    assert declaring.collect.using(unique=unique).unique == unique


def test_a_timedelta_can_only_come_from_using() -> None:
    with pytest.raises(InvalidTask, match=r"run_after is .*, a timedelta in using\(\)"):
        replace(declaring.send, run_after=timedelta(1))


def test_django_s_own_rules_come_first_for_what_is_no_task() -> None:
    with pytest.raises(InvalidTask, match="module level"):
        hosting.task(unique=True)(lambda: None)
