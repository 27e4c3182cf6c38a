"""What people do with schedules from outside: run one now, pause one, let it go on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hosting.compat import TaskResult
from hosting.exceptions import UnknownSchedule
from hosting.queues.scheduling.declared import stores
from hosting.queues.scheduling.definition import call_of
from hosting.queues.stores.base import Store


def run_schedule(name: str) -> TaskResult[..., Any]:
    """Enqueue a schedule's job now, paused or not; its slots stay as they are.

    Raises `UnknownSchedule` if there is none of this name, ValueError if it cannot be (its task is
    gone, say), and what the enqueue raises.
    """
    store = _store_of(name)
    with store.atomic():
        record = store.schedules.get(name)
        if record is None:
            raise UnknownSchedule(_unknown(name))
        result = call_of(record.definition, store.alias).enqueue()
        store.schedules.note_run(name, UUID(result.id))
    return result


def pause_schedule(name: str) -> bool:
    """Have a schedule enqueue nothing until it is resumed; False if it is paused already.

    Raises `UnknownSchedule` if there is none of this name.
    """
    return _store_of(name).schedules.pause(name)


def resume_schedule(name: str) -> bool:
    """Let a schedule go on; what fell due meanwhile is not made up for. False if it is not paused.

    Raises `UnknownSchedule` if there is none of this name.
    """
    schedules = _store_of(name).schedules
    is_resumed = schedules.resume(name)
    schedules.announce()
    return is_resumed


def _store_of(name: str) -> Store:
    for store in stores():
        if store.schedules.get(name) is not None:
            return store
    raise UnknownSchedule(_unknown(name))


def _unknown(name: str) -> str:
    known = [record.name for store in stores() for record, _ in store.schedules.every()]
    return f"There is no schedule {name!r}, known: {', '.join(map(repr, sorted(known))) or 'none'}."
