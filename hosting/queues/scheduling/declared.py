"""The schedules of the settings, and the databases that schedules are kept in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from hosting.compat import InvalidTaskBackend, task_backends
from hosting.conf import Problem, ScheduleEntry
from hosting.exceptions import ArgumentError
from hosting.queues.backends import DatabaseBackend
from hosting.queues.resolution import resolve
from hosting.queues.scheduling.definition import backend_of, complaints
from hosting.queues.stores.base import Store
from hosting.queues.stores.codec import encode_arguments
from hosting.queues.stores.scheduled import Definition


@dataclass(frozen=True, slots=True)
class DeclaredSchedules:
    """The enabled schedules of the settings: by database, and what is wrong with the others."""

    by_database: Mapping[str, list[Definition]]
    #: Names of those that cannot be: nobody knows to which database they belong.
    impossible: tuple[str, ...]
    problems: tuple[Problem, ...]


def declared_schedules(entries: Iterable[ScheduleEntry]) -> DeclaredSchedules:
    """What these entries declare; imports the modules of their tasks."""
    by_database: dict[str, list[Definition]] = defaultdict(list)
    impossible, problems = [], []
    for entry in entries:
        if not entry.enabled:
            continue
        if found := list(entry_problems(entry)):
            problems += found
            impossible.append(entry.name)
        else:
            alias = backend_of(resolve(entry.task)).settings.database
            by_database[alias].append(_definition(entry))
    return DeclaredSchedules(by_database, tuple(impossible), tuple(problems))


def entry_problems(entry: ScheduleEntry) -> Iterator[Problem]:
    """What is wrong with an entry whose shape is sound: its task, its arguments, its queue."""
    try:
        definition = _definition(entry)
    except ArgumentError as error:
        yield Problem("hosting.E029", entry.where, str(error).removesuffix("."))
        return
    for complaint in complaints(definition):
        yield Problem("hosting.E029", entry.where, complaint.words)


def database_backends() -> Iterator[DatabaseBackend]:
    """The backends in TASKS that keep their jobs in a database."""
    for alias in task_backends:
        with suppress(InvalidTaskBackend):  # which Django reports
            if isinstance(backend := task_backends[alias], DatabaseBackend):
                yield backend


def stores() -> list[Store]:
    """Where jobs are kept, one store for each database.

    Raises `ConfigurationError` if a backend's settings are wrong.
    """
    found = {backend.settings.database: backend.store for backend in database_backends()}
    return list(found.values())


def _definition(entry: ScheduleEntry) -> Definition:
    args, kwargs = encode_arguments(entry.task, entry.args, entry.kwargs)
    return Definition(
        name=entry.name,
        task_path=entry.task,
        cron=entry.cron or "",
        interval=entry.interval,
        time_zone=entry.time_zone or "",
        args=args,
        kwargs=kwargs,
        queue_name=entry.queue or "",
        priority=entry.priority,
        missed=entry.missed,
    )
