"""How the options of a task are written, and what the short forms stand for.

The classes only hold what was written: a task judges it, as only a task can say whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from hosting.backoff import Backoff

Seconds = float | timedelta
Until = Literal["started", "finished"]

#: The names or positions (from 0, the context does not count) of arguments, or a function of all.
KeyFunction = Callable[[Sequence[Any], Mapping[str, Any]], str]
Key = str | int | tuple[str | int, ...] | KeyFunction | None

Errors = type[BaseException] | tuple[type[BaseException], ...]
BackoffFunction = Callable[[int], Seconds]


@dataclass(frozen=True, slots=True)
class Unique:
    """One job per `key` at a time: a second enqueue gives the result of the first.

    `key` None means all arguments, () none of them. It holds while the job is ready
    (`until="started"`), while it is ready or running (`"finished"`), or, if there is a `period`,
    for so many seconds from the enqueue, whatever becomes of the job.
    """

    key: Key = None
    until: Until = "finished"
    period: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most `limit` jobs per `key` run at a time, in all processes; `key` None is the task."""

    limit: int
    key: Key = None


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` jobs per `key` start in `per` seconds, in all processes."""

    count: int
    per: Seconds
    key: Key = None

    @classmethod
    def parse(cls, text: str) -> Rate:
        """The rate that "10/m" or "5/30s" stands for; raises ValueError if it is none."""
        found = _RATE.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no rate such as '10/m' or '5/30s'")
        count, periods, unit = found.groups()
        return cls(int(count), int(periods or 1) * _UNITS[unit])


_RATE = re.compile(r"([0-9]{1,9}) ?/ ?([0-9]{0,9}) ?([smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def in_seconds(value: Seconds) -> float:
    """The seconds that a number or a timedelta stands for."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def as_unique(value: bool | str | Unique | None) -> Unique | None:
    """What `unique` stands for: True is all arguments, a string the name of one."""
    if value is None or value is False:
        return None
    if isinstance(value, Unique):
        return value
    return Unique() if value is True else Unique(key=value)


def as_concurrency(value: int | Concurrency | None) -> Concurrency | None:
    """What `concurrency` stands for: a number is for the task as a whole."""
    return Concurrency(value) if isinstance(value, int) else value


def as_rate(value: str | Rate | None) -> Rate | None:
    """What `rate` stands for: a string is for the task as a whole."""
    return Rate.parse(value) if isinstance(value, str) else value


def backoff_values(backoff: Backoff) -> dict[str, float]:
    """The fields of a backoff: those that are judged, and stored for one call."""
    return {
        "initial": backoff.initial,
        "factor": backoff.factor,
        "maximum": backoff.maximum,
    }
