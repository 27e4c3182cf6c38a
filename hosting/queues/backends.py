"""`DatabaseBackend`: the backend of Django's task API whose jobs are rows of a database.

`@task` makes the backend while apps still load, so no model may be imported here: the store, which
imports them, is loaded when it is first used.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core import checks
from django.db import connections, transaction
from django.utils import timezone

from hosting.compat import (
    BaseTaskBackend,
    InvalidTask,
    Task,
    TaskResult,
    TaskResultDoesNotExist,
    task_enqueued,
)
from hosting.conf.problems import Problem
from hosting.exceptions import ConfigurationError
from hosting.ids import uuid7, uuid7s
from hosting.queues.carrying import NOTHING, carried_by
from hosting.queues.declared import DatabaseTask, EnqueueOptions, EnqueuePlan, enqueue_plan
from hosting.queues.declared.memory import remember
from hosting.queues.listeners import has_listeners
from hosting.queues.lulls import ends_lull
from hosting.queues.newjobs import (
    NOWHERE,
    Arguments,
    Call,
    Place,
    arguments_of,
    in_batches,
    shared_values,
)
from hosting.queues.options import LONGEST_NAME, BackendOptions, problems, read_options
from hosting.queues.resolution import declared_task, resolve
from hosting.queues.sizes import require_size
from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.codec import encode_arguments
from hosting.queues.stores.results import note_enqueued, result_of_new, to_result
from hosting.queues.stores.values import NewJob
from hosting.queues.wakeup import wake

#: The longest path of a task, which is a column of a job.
LONGEST_PATH = 512


class DatabaseBackend(BaseTaskBackend):
    """Keeps tasks in a database until a `TaskWorker` executes them.

    A job is written in the caller's transaction: it exists if and only if that commits. OPTIONS:
    `DATABASE`, the alias (default: "default"); `MAX_ATTEMPTS`, how often a job that fails is
    attempted at most (default: 1).
    """

    task_class = DatabaseTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: Mapping[str, Any]) -> None:
        self._problems = list(problems(alias, params))
        # A wrong entry must not keep `check` from reporting it, so it fails when it is used.
        queues = params.get("QUEUES", ["default"])
        names = queues if isinstance(queues, (list, tuple, set, frozenset)) else []
        usable = [name for name in names if isinstance(name, str)]
        super().__init__(alias, {**params, "QUEUES": usable})
        self._valid: dict[int, Task[..., Any]] = {}
        # By the identity of a plan, which is held here so that no other takes that over.
        self._usual: dict[int, tuple[EnqueuePlan, tuple[Any, ...]]] = {}

    def validate_task(self, task: Task[..., Any]) -> None:
        """Raise `InvalidTask` if the task cannot be executed or stored."""
        super().validate_task(task)
        for what, value, longest in (
            ("queue name", task.queue_name, LONGEST_NAME),
            ("path", task.module_path, LONGEST_PATH),
        ):
            if len(value) > longest:
                raise InvalidTask(f"The {what} {value[:40]!r}… has more than {longest} characters.")

    def enqueue(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Write a job in the caller's transaction, and return its result.

        If the task is `unique` and such a job is there already, that one's result is returned.
        Raises `InvalidTask`; `ArgumentError`, a TypeError, for an argument that cannot be JSON or
        is too large; `ConfigurationError` if this backend's settings are wrong; and what the
        database raises.
        """
        return self.enqueue_for(NOWHERE, task, args, kwargs)

    def enqueue_for(
        self, place: Place, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> TaskResult[..., Any]:
        """As `enqueue`, for a job that has a place in a batch."""
        declared = self._declared(task)
        plan = enqueue_plan(task, declared)
        encoded = self._encoded(task.module_path, args, kwargs)
        carried = carried_by(type(self), task)
        if plan.fixed and declared is task and place is NOWHERE and carried is NOTHING:
            shared = self._usual_values(plan, plan.fixed)
        else:
            options = plan.options(args, kwargs, timezone.now())
            shared = shared_values(self.alias, place, task, carried, options)
        job = NewJob(uuid7(), *encoded, *shared)
        if job.unique_key or job.limit:
            [record] = self.store.add([job])
            result = to_result(record, task)
            if record.id != job.id:
                return result
            is_heard = has_listeners(task_enqueued, logging.DEBUG)
        else:
            result, is_heard = self._add_one(job, task)
        if is_heard:
            task_enqueued.send_robust(sender=type(self), task_result=result)
        self._wake()
        return result

    def enqueue_many(
        self,
        task: Task[..., Any],
        calls: Iterable[Call],
        place: Place | None = None,
    ) -> list[str]:
        """Write a job for every call, `MANY` in one round trip, and return their ids in order.

        A call is a tuple of positional arguments, or a dict of keyword arguments. All are written
        in one transaction, or none. Raises as `enqueue` does.
        """
        self.validate_task(task)
        store = self.store
        plan = EnqueuePlan.of(task, declared_task(task))
        ids: list[str] = []
        with store.atomic():
            for batch in in_batches(calls):
                jobs = self._new_jobs(place or NOWHERE, task, map(arguments_of, batch), plan)
                ids += self._add_many(task, jobs)
        self._wake()
        return ids

    def get_result(self, result_id: str) -> TaskResult[..., Any]:
        """The result with this id.

        Raises `TaskResultDoesNotExist` for an id that is unknown to this backend or malformed.
        Raises `UnknownTask` if the job exists, but its task is gone from the code: a result is of a
        task.
        """
        job_id = _parse_id(result_id)
        record = self.store.get([job_id]).get(job_id) if job_id else None
        if record is None or record.backend != self.alias:
            raise TaskResultDoesNotExist(f"There is no result {result_id!r} in {self.alias!r}.")
        return to_result(record, resolve(record.task_path))

    def steer(self, action: str, result: TaskResult[..., Any]) -> bool:
        """Have a job cancelled, retried or discarded ("cancel", "retry", "discard")."""
        job_id = _parse_id(result.id)
        return bool(self.steer_many(action, [job_id])) if job_id else False

    def steer_many(self, action: str, ids: Collection[UUID]) -> set[UUID]:
        """As `steer`, for jobs of which nothing but the id is known; those that it changed."""
        changed: set[UUID] = getattr(self.store.control, action)(ids)
        self._wake()
        self.store.tell()
        return changed

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """What is wrong with this backend's settings; asks no database."""
        found = [*self._problems, *self._installation_problems()]
        return [checks.Error(str(problem), id=problem.id) for problem in found]

    @cached_property
    def settings(self) -> BackendOptions:
        """The OPTIONS; raises `ConfigurationError` if something is wrong with them."""
        if found := [*self._problems, *self._installation_problems()]:
            raise ConfigurationError(" ".join(map(str, found)))
        return read_options(self.options)

    @cached_property
    def store(self) -> Store:
        """Where this backend keeps its jobs; raises `ConfigurationError` as `settings` does."""
        return store_for(self.settings.database)

    def _add_one(self, job: NewJob, task: Task[..., Any]) -> tuple[TaskResult[..., Any], bool]:
        """The result of a job that is written, and whether anybody wants to hear of it.

        Both are found out while the database writes.
        """
        found: list[tuple[TaskResult[..., Any], bool]] = []

        def find_out() -> None:
            found.append((result_of_new(job, task), has_listeners(task_enqueued, logging.DEBUG)))

        moment = self.store.deliver(job, find_out) if ends_lull(self.store.alias) else None
        if moment is None:
            moment = self.store.add_one(job, find_out)
        note_enqueued(found[-1][0], moment)
        return found[-1]

    def _add_many(self, task: Task[..., Any], jobs: Sequence[NewJob]) -> list[str]:
        """Write the jobs in one statement, unless each has to be looked at."""
        is_heard = has_listeners(task_enqueued, logging.DEBUG)
        if not is_heard and not any(job.unique_key or job.limit for job in jobs):
            self.store.add_many(jobs)
            return [str(job.id) for job in jobs]
        records = self.store.add(jobs)
        for job, record in zip(jobs, records, strict=True):
            if is_heard and job.id == record.id:
                result = to_result(record, task)
                task_enqueued.send_robust(sender=type(self), task_result=result)
        return [str(record.id) for record in records]

    def _new_jobs(
        self, place: Place, task: Task[..., Any], calls: Iterable[Arguments], plan: EnqueuePlan
    ) -> list[NewJob]:
        """The jobs of several calls, for which what is the same in all is found out once."""
        path, now = task.module_path, timezone.now()
        encoded = [(args, kwargs, *self._encoded(path, args, kwargs)) for args, kwargs in calls]
        ids = uuid7s(len(encoded))
        carried = carried_by(type(self), task)
        values = partial(shared_values, self.alias, place, task, carried)
        shared = None if plan.fixed is None else values(plan.fixed)
        return [
            NewJob(
                job_id,
                args_text,
                kwargs_text,
                *(shared or values(plan.options(args, kwargs, now))),
            )
            for job_id, (args, kwargs, args_text, kwargs_text) in zip(ids, encoded, strict=True)
        ]

    def _usual_values(self, plan: EnqueuePlan, options: EnqueueOptions) -> tuple[Any, ...]:
        """What follows id and arguments in a job of a declared task whose options never vary."""
        known = self._usual.get(id(plan))
        if known is None:
            known = plan, shared_values(self.alias, NOWHERE, plan.task, NOTHING, options)
            remember(self._usual, id(plan), known)
        return known[1]

    def _declared(self, task: Task[..., Any]) -> Task[..., Any]:
        """The task at this one's path; raises `InvalidTask`, also if this one is not valid.

        A task never changes, so one that is declared, and not made on the way, is looked at once.
        """
        is_valid = self._valid.get(id(task)) is task
        if not is_valid:
            self.validate_task(task)
        declared = declared_task(task)
        if declared is task and not is_valid:
            remember(self._valid, id(task), task)
        return declared

    def _encoded(
        self, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[str, str]:
        """The JSON texts of the arguments, which are not too large."""
        encoded = encode_arguments(path, args, kwargs)
        require_size(path, *encoded, self.settings.max_arguments_bytes)
        return encoded

    def _wake(self) -> None:
        """Tell the workers of this process, once the caller's transaction has committed."""
        alias = self.store.alias
        if connections[alias].in_atomic_block:
            transaction.on_commit(partial(wake, alias), using=alias)
        else:
            wake(alias)

    def _installation_problems(self) -> Iterator[Problem]:
        if not apps.is_installed("hosting"):
            where = f"TASKS[{self.alias!r}]['BACKEND']"
            yield Problem("hosting.E104", where, "'hosting' is missing from INSTALLED_APPS")


def _parse_id(text: object) -> UUID | None:
    try:
        parsed = UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return parsed if str(parsed) == text else None
