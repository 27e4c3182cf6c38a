"""What the database knows of the queues and of the fleet, asked at once and within a limit of time.

Several backends may share queues by name; their jobs are counted together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hosting import fleet
from hosting.compat import task_backends
from hosting.queues.backends import DatabaseBackend
from hosting.queues.stores.census import Census
from hosting.scope import Scope

#: Seconds that each database may take for its answers.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Answers:
    """Counts by label values; ages in seconds."""

    jobs: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by queue and state
    oldest_ready: Mapping[str, float] = field(default_factory=dict)  # by queue
    services: Mapping[tuple[str, str], int] = field(default_factory=dict)  # by name and state
    processes: Mapping[str, int] = field(default_factory=dict)  # by kind


def ask_database() -> Answers:
    """The answers of now; raises what a database in trouble does."""
    jobs: Counter[tuple[str, str]] = Counter()
    oldest: dict[str, float] = {}
    with Scope():
        for backend in _backends():
            store = backend.store
            with store.deadline(PATIENCE):
                census = Census(store, backend.alias)
                for (queue, state), count in census.counts().items():
                    jobs[queue, state.value] += count
                for queue, age in census.oldest_ready().items():
                    oldest[queue] = max(age, oldest.get(queue, 0.0))
        with fleet.within(PATIENCE):
            found = fleet.services()
    processes = {(each.host_name, each.pid, each.kind) for each in found}
    return Answers(
        jobs,
        oldest,
        Counter((each.name, each.state) for each in found),
        Counter(kind for _, _, kind in processes),
    )


def _backends() -> Iterator[DatabaseBackend]:
    for alias in task_backends:
        backend = task_backends[alias]
        if isinstance(backend, DatabaseBackend):
            yield backend
