"""The OPTIONS of `DatabaseBackend`: parsed once, judged once, reported by checks and when used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from django.db import DEFAULT_DB_ALIAS, connections

from hosting.compat import TaskResultStatus
from hosting.conf.problems import Problem, allowed_names
from hosting.conf.values import Judge, boolean, one_of, or_none, positive_seconds, seconds
from hosting.queues.sizes import MAX_ARGUMENTS_BYTES

#: Seconds for which results are kept.
RETENTION = {TaskResultStatus.SUCCESSFUL: 7 * 86_400.0, TaskResultStatus.FAILED: 30 * 86_400.0}

#: The shortest time after which a process may count as dead (seconds).
SOONEST_DEAD = 1.0


def _attempts(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("allowed: a whole number, 1 or more")
    return value


def _dead_after(value: Any) -> float:
    if positive_seconds(value) < SOONEST_DEAD:
        raise ValueError(f"allowed: a finite number of seconds, {SOONEST_DEAD} or more")
    return float(value)


def _retention(value: Any) -> dict[TaskResultStatus, float | None]:
    """Seconds or timedeltas by status; a status that is not named keeps its default."""
    if not isinstance(value, Mapping):
        raise ValueError("allowed: a dict with the keys 'SUCCESSFUL' and 'FAILED'")
    found: dict[TaskResultStatus, float | None] = dict(RETENTION)
    for key, span in value.items():
        if key not in found:
            names = allowed_names(key, [status.value for status in RETENTION])
            raise ValueError(f"which has the unknown key {key!r}, {names}")
        found[TaskResultStatus(key)] = _span(span)
    return found


def _span(value: Any) -> float | None:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return cast("float | None", or_none(seconds)(value))


#: Judges of the OPTIONS but DATABASE, which is judged with the settings it names.
JUDGES: Mapping[str, Judge] = {
    "DEAD_AFTER": _dead_after,
    "LISTEN": boolean,
    "MAX_ARGUMENTS_BYTES": _attempts,
    "MAX_ATTEMPTS": _attempts,
    "RETENTION": _retention,
    "UNKNOWN_TASKS": one_of("fail", "wait"),
}
KEYS = ("DATABASE", *JUDGES)

#: The longest alias of a backend and name of a queue, which are columns of a job.
LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """What a backend was told: the database's alias, and how often a job is attempted at most."""

    database: str = DEFAULT_DB_ALIAS
    max_attempts: int = 1
    dead_after: float = 30.0  # seconds
    listen: bool = True
    unknown_tasks: str = "fail"  # or "wait"
    max_arguments_bytes: int = MAX_ARGUMENTS_BYTES
    retention: Mapping[TaskResultStatus, float | None] = field(
        default_factory=lambda: dict(RETENTION)
    )


def read_options(options: Mapping[str, Any]) -> BackendOptions:
    """The options, which have been judged."""
    judged = {key.lower(): judge(options[key]) for key, judge in JUDGES.items() if key in options}
    return BackendOptions(database=options.get("DATABASE", DEFAULT_DB_ALIAS), **judged)


def problems(alias: str, params: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with a backend's entry in TASKS; reads settings and asks no database."""
    where = f"TASKS[{alias!r}]"
    if len(str(alias)) > LONGEST_NAME:
        yield Problem("hosting.E105", where, f"the alias has more than {LONGEST_NAME} characters")
    yield from _queue_problems(where, params.get("QUEUES", []))
    options = params.get("OPTIONS", {})
    if not isinstance(options, Mapping):
        yield Problem("hosting.E102", f"{where}['OPTIONS']", f"is {options!r}, allowed: a dict")
        return
    for key in options:
        if key not in KEYS:
            matter = f"unknown key {key!r}, {allowed_names(key, KEYS)}"
            yield Problem("hosting.E101", f"{where}['OPTIONS']", matter)
    yield from _database_problems(where, options.get("DATABASE", DEFAULT_DB_ALIAS))
    for key, judge in JUDGES.items():
        if key not in options:
            continue
        try:
            judge(options[key])
        except ValueError as error:
            matter = f"is {options[key]!r}, {error}"
            yield Problem("hosting.E102", f"{where}['OPTIONS'][{key!r}]", matter)


def _database_problems(where: str, database: object) -> Iterator[Problem]:
    known = sorted(connections.settings)
    if database not in known:
        matter = f"is {database!r}, which is not in DATABASES, {allowed_names(database, known)}"
        yield Problem("hosting.E103", f"{where}['OPTIONS']['DATABASE']", matter)


def _queue_problems(where: str, queues: object) -> Iterator[Problem]:
    if not isinstance(queues, (list, tuple, set, frozenset)):
        matter = f"is {queues!r}, allowed: a list of names, empty for any name"
        yield Problem("hosting.E105", f"{where}['QUEUES']", matter)
        return
    for name in queues:
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            matter = f"contains {name!r}, allowed: names of 1 to {LONGEST_NAME} characters"
            yield Problem("hosting.E105", f"{where}['QUEUES']", matter)
