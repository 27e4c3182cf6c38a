"""What each option of a task may be. A judge raises `Wrong`; the task adds whose option it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.utils import timezone

from hosting.backoff import Backoff
from hosting.queues.declared.values import Concurrency, Rate, Unique, backoff_values

#: The longest time that an option may name (seconds): a hundred years, which a datetime can carry.
LONGEST = 36525 * 86400

#: The greatest number of attempts, of jobs side by side, and of jobs in a period.
MOST = 1_000_000

#: The longest text of a value in a message.
_SHOWN = 80


class Wrong(ValueError):
    """An option has a value that is not allowed; the message names all three."""

    def __init__(self, option: str, value: object, allowed: str) -> None:
        super().__init__(f"{option} is {shown(value)}, allowed: {allowed}")


def shown(value: object) -> str:
    """The value in a message: not longer than a line, and never an error of its own."""
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _number(option: str, value: object, low: float, high: float, allowed: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise Wrong(option, value, allowed)


def _count(option: str, value: object, or_else: str = "") -> None:
    allowed = f"a whole number from 1 to {MOST}{or_else}"
    if not isinstance(value, int):
        raise Wrong(option, value, allowed)
    _number(option, value, 1, MOST, allowed)


def _priority(option: str, value: object) -> None:
    allowed = "a whole number from -100 to 100"
    _number(option, value, -100, 100, allowed)
    if isinstance(value, float) and not value.is_integer():
        raise Wrong(option, value, allowed)


def _name(option: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise Wrong(option, value, "a name")


def _boolean(option: str, value: object) -> None:
    if not isinstance(value, bool):
        raise Wrong(option, value, "True or False")


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and not (settings.USE_TZ and timezone.is_naive(value))


def _moment_words() -> str:
    return "an aware datetime" if settings.USE_TZ else "a datetime"


def _moment(option: str, value: object) -> None:
    if not _is_moment(value):
        raise Wrong(option, value, f"{_moment_words()}, a timedelta in using(), or None")


def delay(option: str, value: object) -> None:
    """A timedelta from 0 to a hundred years."""
    if not isinstance(value, timedelta) or not 0 <= value.total_seconds() <= LONGEST:
        raise Wrong(option, value, "a timedelta from 0 to 100 years, a datetime, or None")


def _duration(option: str, value: object, or_else: str = "") -> None:
    allowed = f"seconds or a timedelta, more than 0 and at most 100 years{or_else}"
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        _number(option, seconds, 0, LONGEST, allowed)
    except Wrong:
        raise Wrong(option, value, allowed) from None
    if not seconds:
        raise Wrong(option, value, allowed)


def _timeout(option: str, value: object) -> None:
    _duration(option, value, ", or None")


def _expires(option: str, value: object) -> None:
    if not _is_moment(value):
        _duration(option, value, f", {_moment_words()}, or None")


def _max_attempts(option: str, value: object) -> None:
    _count(option, value, ", or None")


def _backoff(option: str, value: object) -> None:
    if isinstance(value, type) or not (isinstance(value, Backoff) or callable(value)):
        raise Wrong(option, value, "a Backoff, a function of the number of failures, or None")
    if isinstance(value, Backoff):
        judge_backoff(option, backoff_values(value))


def judge_backoff(option: str, values: dict[str, Any]) -> None:
    """Raise `Wrong` if a `Backoff` of these values cannot be computed with."""
    for field, (low, high) in BACKOFF_BOUNDS.items():
        _number(f"{option}.{field}", values[field], low, high, f"a number from {low} to {high}")


#: Within these, no power of the factor overflows a float.
BACKOFF_BOUNDS = {"initial": (0, LONGEST), "factor": (1, 1000), "maximum": (0, LONGEST)}


def wait(option: str, value: object) -> float:
    """The seconds that a function of the project said to wait; raises `Wrong` if it did not."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    _number(option, seconds, 0, LONGEST, "seconds or a timedelta, from 0 to 100 years")
    return float(cast(float, seconds))


def _errors(option: str, value: object) -> None:
    for found in value if isinstance(value, tuple) else (value,):
        if not (isinstance(found, type) and issubclass(found, BaseException)):
            raise Wrong(option, value, "a class of exceptions, a tuple of them, or None")


def _key(option: str, value: object) -> None:
    if value is None or callable(value):
        return
    for part in value if isinstance(value, tuple) else (value,):
        if isinstance(part, bool) or not isinstance(part, (str, int)):
            raise Wrong(
                option,
                value,
                "the name or position of an argument, a tuple of them, "
                "a function (args, kwargs) -> str, or None",
            )


def _unique(option: str, value: object) -> None:
    if not isinstance(value, Unique):
        if not isinstance(value, (bool, str)):
            raise Wrong(option, value, "True, False, the name of an argument, a Unique, or None")
        return
    _key(f"{option}.key", value.key)
    if value.until not in ("started", "finished"):
        raise Wrong(f"{option}.until", value.until, "'started' or 'finished'")
    if value.period is not None:
        _duration(f"{option}.period", value.period, ", or None")
        if value.until != "finished":
            raise Wrong(option, value, "either until or a period, not both")


def _sensitive(option: str, value: object) -> None:
    names = value if isinstance(value, tuple) else (value,)
    is_named = all(isinstance(name, str) and name for name in names)
    if not (isinstance(value, bool) or (names and is_named)):
        raise Wrong(option, value, "True, False, the name of an argument, a tuple of them, or None")


def _concurrency(option: str, value: object) -> None:
    if not isinstance(value, Concurrency):
        _count(option, value, ", a Concurrency, or None")
        return
    _count(f"{option}.limit", value.limit)
    _key(f"{option}.key", value.key)


def _rate(option: str, value: object) -> None:
    allowed = "a text such as '10/m', '100/h' or '5/30s' (units s, m, h, d), a Rate, or None"
    if isinstance(value, str):
        try:
            _rate_fields(option, Rate.parse(value))
        except ValueError:
            raise Wrong(option, value, allowed) from None
    elif isinstance(value, Rate):
        _rate_fields(option, value)
    else:
        raise Wrong(option, value, allowed)


def _rate_fields(option: str, rate: Rate) -> None:
    _count(f"{option}.count", rate.count)
    _duration(f"{option}.per", rate.per)
    _key(f"{option}.key", rate.key)


Judge = Callable[[str, object], None]

#: Of the options of Django's own tasks.
BASE: dict[str, Judge] = {
    "priority": _priority,
    "queue_name": _name,
    "backend": _name,
    "run_after": _moment,
}
#: Of the options that are ours.
OWN: dict[str, Judge] = {
    "max_attempts": _max_attempts,
    "backoff": _backoff,
    "retry_on": _errors,
    "give_up_on": _errors,
    "timeout": _timeout,
    "unique": _unique,
    "concurrency": _concurrency,
    "rate": _rate,
    "atomic": _boolean,
    "expires": _expires,
    "sensitive": _sensitive,
}
EVERY = {**BASE, **OWN}

#: Those for which None is a value.
OPTIONAL = frozenset(OWN) - {"atomic"} | {"run_after"}


def judge_atomic(func: Callable[..., Any], atomic: bool) -> None:
    """Raise `Wrong` if a coroutine function is to be atomic: Django has no transactions there."""
    if atomic and inspect.iscoroutinefunction(func):
        raise Wrong("atomic", True, "False, as the task is a coroutine function")
