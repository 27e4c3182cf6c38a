"""How much waits in each queue, and for how long.

What is ready is counted along its index, up to a bound for each queue. Of what waits for something
else, or runs, so many rows are looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from hosting.dashboard.counts import Count, count
from hosting.models import JobState
from hosting.queues.backends import DatabaseBackend
from hosting.queues.stores.census import OTHERS
from hosting.queues.stores.indexed import heads, in_state, ready_in
from hosting.queues.stores.orm import GenericStore

#: Jobs of each other state that are looked at.
SAMPLE = 1_000

#: Queues that are shown, by name.
MOST = 100

#: Priorities in one queue among which the oldest job is looked for.
RANKS = 20


@dataclass(frozen=True, slots=True)
class Depth:
    """What there is in one queue."""

    backend: str
    name: str
    is_paused: bool
    ready: Count
    oldest: datetime | None  # since when the oldest job that is ready has been due
    others: tuple[Count, ...]  # running, waiting, blocked, held


def depths(store: GenericStore, backends: Collection[DatabaseBackend]) -> list[Depth]:
    """The queues of these backends, which keep their jobs in this store."""
    tallies = [_tally(store, state) for state in OTHERS]
    paused = {(each.alias, name) for each in backends for name in _paused(store, each)}
    found = {(each.alias, name) for each in backends for name in each.queues}
    found |= {(each.alias, name) for each in backends for name in store.queue_names(each.alias)}
    found |= paused.union(*tallies)
    return [
        Depth(
            backend,
            name,
            (backend, name) in paused,
            count(ready_in(store, backend, name)),
            _oldest(store, backend, name),
            tuple(_counted(tally, (backend, name)) for tally in tallies),
        )
        for backend, name in sorted(found)[:MOST]
    ]


def _paused(store: GenericStore, backend: DatabaseBackend) -> Collection[str]:
    return store.control.paused_queues(backend.alias)


def _tally(store: GenericStore, state: JobState) -> Counter[tuple[str, str]]:
    rows = in_state(store, state).values_list("backend", "queue_name")
    return Counter(rows[:SAMPLE])


def _counted(tally: Counter[tuple[str, str]], queue: tuple[str, str]) -> Count:
    """How many there are; if the sample is full, that is the least there are."""
    number = tally[queue]
    is_all = tally.total() < SAMPLE
    return Count(number, number if is_all or not number else number - 1)


def _oldest(store: GenericStore, backend: str, name: str) -> datetime | None:
    moments = islice(heads(ready_in(store, backend, name), "due_at"), RANKS)
    return min((due_at for (due_at,) in moments), default=None)
