"""From calls of a task to the values of new jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from hosting.compat import Task
from hosting.queues.carrying import Carried, pack
from hosting.queues.declared import EnqueueOptions
from hosting.queues.stores.values import LimitRule, NewJob

#: How many jobs one statement adds.
MANY = 1_000

#: A tuple of positional arguments, or a dict of keyword arguments.
Call = Sequence[Any] | Mapping[str, Any]

Arguments = tuple[Sequence[Any], Mapping[str, Any]]

#: In the place of an id where there is none yet.
NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a job in a batch: none, one of its jobs, or what follows (`is_held`)."""

    batch_id: UUID | None = None
    is_held: bool = False


#: The place of a job that is in no batch.
NOWHERE = Place()


def shared_values(
    backend: str,
    place: Place,
    task: Task[..., Any],
    carried: Carried,
    options: EnqueueOptions,
) -> tuple[Any, ...]:
    """What follows id and arguments in a `NewJob`."""
    limit = None
    if options.limit_key:
        limit = LimitRule(
            key=options.limit_key,
            running=options.limit_running,
            count=options.limit_count,
            period=options.limit_period,
        )
    return NewJob(
        id=NO_ID,
        args="",
        kwargs="",
        backend=backend,
        queue_name=task.queue_name,
        priority=int(task.priority),
        task_path=task.module_path,
        options=pack(carried, options.overrides),
        run_after=options.run_after,
        expires_in=options.expires_in,
        unique_key=options.unique_key,
        unique_until_claimed=options.unique_until == "started",
        unique_period=options.unique_period,
        limit=limit,
        batch_id=place.batch_id,
        is_held=place.is_held,
    )[3:]


def in_batches(calls: Iterable[Any]) -> Iterator[list[Any]]:
    """The calls, as many at a time as one statement adds."""
    rest = iter(calls)
    while batch := list(islice(rest, MANY)):
        yield batch


def arguments_of(call: object) -> Arguments:
    """The positional and the keyword arguments of a call; raises TypeError if it is none."""
    if isinstance(call, (tuple, list)):
        return call, {}
    if isinstance(call, Mapping):
        return (), call
    raise TypeError(
        f"A call is {call!r}, allowed: a tuple of positional or a dict of keyword arguments."
    )
