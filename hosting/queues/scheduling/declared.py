"""The schedules of the settings, and the databases that schedules are kept in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

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
class Refused:
    """An entry that cannot be: nobody knows to which database it belongs."""

    entry: ScheduleEntry
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class DeclaredSchedules:
    """The enabled schedules of the settings: by database, and those that cannot be."""

    by_database: Mapping[str, list[Definition]]
    refused: tuple[Refused, ...]

    @property
    def impossible(self) -> tuple[str, ...]:
        """The names of those that cannot be."""
        return tuple(each.entry.name for each in self.refused)

    def elsewhere(self, database: str) -> frozenset[str]:
        """The names of those that belong to another database than this.

        Their rows may be seen in this one too, as two aliases may lead to the same one by two ways.
        """
        others = (found for alias, found in self.by_database.items() if alias != database)
        return frozenset(definition.name for found in others for definition in found)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong with them."""
        return tuple(problem for each in self.refused for problem in each.problems)


def declared_schedules(entries: Iterable[ScheduleEntry]) -> DeclaredSchedules:
    """What these entries declare; imports the modules of their tasks."""
    by_database: dict[str, list[Definition]] = defaultdict(list)
    refused = []
    for entry in entries:
        if not entry.enabled:
            continue
        if found := tuple(entry_problems(entry)):
            refused.append(Refused(entry, found))
        else:
            alias = backend_of(resolve(entry.task)).settings.database
            by_database[alias].append(_definition(entry))
    return DeclaredSchedules(by_database, tuple(refused))


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


def times_of(entry: ScheduleEntry) -> Definition:
    """What an entry says of its task and its times, as that much of it is always sound."""
    return Definition(
        name=entry.name,
        task_path=entry.task,
        cron=entry.cron or "",
        interval=entry.interval,
        time_zone=entry.time_zone or "",
    )


def _definition(entry: ScheduleEntry) -> Definition:
    args, kwargs = encode_arguments(entry.task, entry.args, entry.kwargs)
    return replace(
        times_of(entry),
        args=args,
        kwargs=kwargs,
        queue_name=entry.queue or "",
        priority=entry.priority,
        missed=entry.missed,
    )
