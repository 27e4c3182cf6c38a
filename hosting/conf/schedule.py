"""`HOSTING["SCHEDULE"]`: the shape of its entries.

Whether the task is there and takes these arguments is for the queue to say (`hosting.queues`), as
tasks can be imported only once all apps are ready.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hosting.conf import values
from hosting.conf.entries import name as judge_name
from hosting.conf.problems import Problem, allowed_names
from hosting.schedules import ONCE, parse_cron, parse_interval, parse_missed, parse_time_zone

#: Seconds: what an interval may be.
SHORTEST, LONGEST = 0.1, 100 * 365 * 86_400.0

Report = Callable[[Problem], None]


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """One declared schedule; the meaning of each field stands in `docs/settings.md`."""

    name: str
    task: str
    where: str  # the entry's place, for messages
    cron: str | None = None
    interval: float | None = None  # seconds
    time_zone: str | None = None  # None: Django's TIME_ZONE
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None  # None: that of the task
    priority: int | None = None  # None: that of the task
    missed: str = ONCE
    enabled: bool = True


def interval(value: Any, option: str) -> float:
    """Seconds between two slots; raises ValueError saying what is allowed."""
    seconds = parse_interval(value, option)
    if not SHORTEST <= seconds <= LONGEST:
        limits = f"{SHORTEST} seconds to 100 years"
        raise ValueError(f"{option} is {value!r}, allowed: {limits}")
    return seconds


def cron(value: Any, option: str) -> str:
    """A cron expression that fits its column; raises ValueError saying what is allowed."""
    expression = parse_cron(value, option)
    if len(expression) > 255:
        raise ValueError(f"{option} is {expression[:40]!r}…, allowed: at most 255 characters")
    return expression


def _time_zone(value: Any, option: str) -> str:
    return str(parse_time_zone(value, option))


def _named(judge: values.Judge) -> Callable[[Any, str], Any]:
    """The judge, whose words begin with the option and its value as those of schedules do."""

    def judged(value: Any, option: str) -> Any:
        try:
            return judge(value)
        except ValueError as error:
            raise ValueError(f"{option} is {value!r}, {error}") from None

    return judged


def path(value: Any) -> str:
    """The dotted path of a task; raises ValueError for what cannot be one."""
    if not isinstance(value, str) or not re.fullmatch(r"\w+(\.\w+)+", value) or len(value) > 512:
        raise ValueError("allowed: the dotted path of a task, as 'app.tasks.name'")
    return value


def _args(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("allowed: a list of positional arguments")
    return tuple(value)


def _kwargs(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError("allowed: a dict of keyword arguments")
    return dict(value)


def _queue(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 128:
        raise ValueError("allowed: the name of a queue, 1 to 128 characters")
    return value


def priority(value: Any, option: str) -> int:
    """A priority as Django has it; raises ValueError saying what is allowed."""
    if isinstance(value, bool) or not isinstance(value, int) or not -100 <= value <= 100:
        raise ValueError(f"{option} is {value!r}, allowed: a whole number from -100 to 100")
    return value


#: Key of an entry -> its judge.
KEYS: Mapping[str, Callable[[Any, str], Any]] = {
    "TASK": _named(path),
    "CRON": cron,
    "INTERVAL": interval,
    "TIME_ZONE": _time_zone,
    "ARGS": _named(_args),
    "KWARGS": _named(_kwargs),
    "QUEUE": _named(_queue),
    "PRIORITY": priority,
    "MISSED": parse_missed,
    "ENABLED": _named(values.boolean),
}


def by_name(value: Any) -> Mapping[Any, Any]:
    """What SCHEDULE itself has to be."""
    if not isinstance(value, dict):
        raise ValueError("allowed: a dict of schedules by name")
    return value


def judge_schedules(raw: Mapping[Any, Any], report: Report) -> dict[str, ScheduleEntry]:
    """The sound entries by name; reports what is wrong with the others."""
    judged = (_judge(name, entry, report) for name, entry in raw.items())
    return {entry.name: entry for entry in judged if entry is not None}


def _judge(name: Any, raw: Any, report: Report) -> ScheduleEntry | None:
    where = f"HOSTING['SCHEDULE'][{name!r}]"
    problems: list[Problem] = []
    try:
        judge_name(name)
    except ValueError as error:
        problems.append(Problem("hosting.E024", where, f"the name is {name!r}, {error}"))
    found: dict[str, Any] = {}
    if not isinstance(raw, dict):
        problems.append(Problem("hosting.E024", where, f"is {raw!r}, allowed: a dict"))
    else:
        problems += [Problem(check, where, matter) for check, matter in _key_matters(raw)]
        problems += [Problem("hosting.E028", where, matter) for matter in _judge_values(raw, found)]
    for problem in problems:
        report(problem)
    return None if problems else ScheduleEntry(name=name, where=where, **found)


def _key_matters(raw: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for key in raw:
        if key not in KEYS:
            yield "hosting.E025", f"unknown key {key!r}, {allowed_names(key, KEYS)}"
    if "TASK" not in raw:
        yield "hosting.E026", "the key 'TASK' is missing"
    if ("CRON" in raw) == ("INTERVAL" in raw):
        found = "both" if "CRON" in raw else "neither"
        yield "hosting.E027", f"exactly one of CRON and INTERVAL is needed, found {found}"
    if "TIME_ZONE" in raw and "CRON" not in raw:
        yield "hosting.E027", f"TIME_ZONE is {raw['TIME_ZONE']!r}, allowed: only with CRON"


def _judge_values(raw: Mapping[Any, Any], found: dict[str, Any]) -> Iterator[str]:
    """Add what the values mean to `found`; gives what is wrong with them."""
    for key, judge in KEYS.items():
        if key not in raw:
            continue
        try:
            found[key.lower()] = judge(raw[key], key)
        except ValueError as error:
            yield str(error)
