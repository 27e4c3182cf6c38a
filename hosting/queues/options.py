"""The OPTIONS of `DatabaseBackend`: parsed once, judged once, reported by checks and when used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from hosting.compat import TaskResultStatus
from hosting.conf.problems import Problem, allowed_names

KEYS = ("DATABASE", "DEAD_AFTER", "LISTEN", "MAX_ATTEMPTS", "RETENTION", "UNKNOWN_TASKS")

#: Seconds for which results are kept.
RETENTION = {TaskResultStatus.SUCCESSFUL: 7 * 86_400.0, TaskResultStatus.FAILED: 30 * 86_400.0}

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
    retention: Mapping[TaskResultStatus, float | None] = field(
        default_factory=lambda: dict(RETENTION)
    )


def read_options(options: Mapping[str, Any]) -> BackendOptions:
    """The options, which have been judged."""
    return BackendOptions(
        database=options.get("DATABASE", DEFAULT_DB_ALIAS),
        max_attempts=options.get("MAX_ATTEMPTS", 1),
    )


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
    attempts = options.get("MAX_ATTEMPTS", 1)
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        matter = f"is {attempts!r}, allowed: a whole number, 1 or more"
        yield Problem("hosting.E102", f"{where}['OPTIONS']['MAX_ATTEMPTS']", matter)


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
