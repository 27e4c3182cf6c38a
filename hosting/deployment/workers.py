"""The workers that a project declares: which queues they serve, what connections they need."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS
from hosting.conf import WEB, WORKER, Declaration, ServiceEntry
from hosting.queues.backends import DatabaseBackend
from hosting.queues.worker import TaskWorker

#: Threads of a worker that use the pool beside those of jobs: its own, maintenance, announcements.
OF_EACH_WORKER = 3


@dataclass(frozen=True, slots=True)
class DeclaredWorker:
    """An entry that is hosted and executes jobs."""

    entry: ServiceEntry
    backend: DatabaseBackend
    queues: frozenset[str] | None  # None: all
    concurrency: int


@dataclass(frozen=True, slots=True)
class Need:
    """How many connections one process of a kind may have at once, with and without a pool."""

    kind: str
    pooled: int
    all: int


def declared_workers(
    declaration: Declaration, backends: Mapping[str, DatabaseBackend]
) -> Iterator[DeclaredWorker]:
    """The workers of these backends that are switched on."""
    for entry in declaration.services:
        if not entry.enabled or not issubclass(entry.service_class, TaskWorker):
            continue
        options = _options(entry)
        backend = backends.get(options.get("backend", DEFAULT_TASK_BACKEND_ALIAS))
        if backend is not None:
            queues = options.get("queues") or backend.queues
            yield DeclaredWorker(
                entry, backend, frozenset(queues) if queues else None, options["concurrency"]
            )


def queues_without_worker(
    backend: DatabaseBackend, workers: Collection[DeclaredWorker]
) -> list[str]:
    """The names in QUEUES that no worker serves."""
    served = [worker.queues for worker in workers if worker.backend is backend]
    if None in served:
        return []
    return sorted(set(backend.queues).difference(*(names for names in served if names)))


def connections_needed(
    declaration: Declaration, workers: Collection[DeclaredWorker], own: str
) -> dict[str, Need]:
    """What one process may need by alias, of the kind that needs more; `own` has its row.

    Of services that are no workers nothing is known.
    """
    needs = [need for kind in (WEB, WORKER) for need in _needs(declaration, workers, own, kind)]
    most: dict[str, Need] = {}
    for alias, need in needs:
        if alias not in most or need.pooled > most[alias].pooled:
            most[alias] = need
    return most


def _needs(
    declaration: Declaration, workers: Collection[DeclaredWorker], own: str, kind: str
) -> Iterator[tuple[str, Need]]:
    hosted = declaration.hosted_in(kind)
    of_kind = [worker for worker in workers if worker.entry in hosted]
    for alias in sorted({worker.backend.settings.database for worker in of_kind}):
        there = [each for each in of_kind if each.backend.settings.database == alias]
        pooled = sum(each.concurrency + OF_EACH_WORKER for each in there) + 1  # the sign of life
        if alias == own:
            pooled += 1 + any(entry.singleton for entry in hosted)  # the process row, the leases
        listening = sum(each.backend.settings.listen for each in there)  # of no pool
        yield alias, Need(kind, pooled, pooled + listening)


def _options(entry: ServiceEntry) -> dict[str, Any]:
    """The options of the entry, with the defaults of its class."""
    known = {"concurrency": inspect.signature(TaskWorker).parameters["concurrency"].default}
    try:
        bound = inspect.signature(entry.service_class).bind(**entry.options)
    except TypeError:
        return known
    bound.apply_defaults()
    return {**known, **bound.arguments}
