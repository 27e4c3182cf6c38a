"""What people do with schedules from outside: run one now, pause one, let it go on.

Each raises `UnknownSchedule` if there is none of this name. `database` is an alias, for a name that
there is in several databases; by default it is the first in which there is one that belongs there,
as the database of its task is the same.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hosting.compat import TaskResult
from hosting.exceptions import UnknownSchedule
from hosting.queues.scheduling.declared import stores
from hosting.queues.scheduling.definition import call_of, home_of
from hosting.queues.stores.base import Store


def run_schedule(name: str, database: str | None = None) -> TaskResult[..., Any]:
    """Enqueue a schedule's job now, paused or not; its slots stay as they are.

    Raises ValueError if the schedule cannot be (its task is gone, say), and what the enqueue
    raises.
    """
    store = _store_of(name, database)
    with store.atomic():
        record = store.schedules.get(name)
        if record is None:
            raise UnknownSchedule(_unknown(name))
        result = call_of(record.definition, store.alias).enqueue()
        store.schedules.note_run(name, UUID(result.id))
    return result


def pause_schedule(name: str, database: str | None = None) -> bool:
    """Have a schedule enqueue nothing until it is resumed; False if it is paused already."""
    return _store_of(name, database).schedules.pause(name)


def resume_schedule(name: str, database: str | None = None) -> bool:
    """Let a schedule go on; what fell due meanwhile is not made up for. False if it goes on."""
    schedules = _store_of(name, database).schedules
    is_resumed = schedules.resume(name)
    schedules.announce()
    return is_resumed


def _store_of(name: str, database: str | None) -> Store:
    found = []
    for store in stores():
        record = store.schedules.get(name) if database in (None, store.alias) else None
        if record is not None:
            if home_of(record.definition) == store.alias:
                return store
            found.append(store)
    if found:
        return found[0]
    raise UnknownSchedule(_unknown(name))


def _unknown(name: str) -> str:
    known = [record.name for store in stores() for record, _ in store.schedules.every()]
    return f"There is no schedule {name!r}, known: {', '.join(map(repr, sorted(known))) or 'none'}."
