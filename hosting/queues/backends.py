"""`DatabaseBackend`: the backend of Django's task API whose jobs are rows of a database.

`@task` makes the backend while apps still load, so no model may be imported here: the store, which
imports them, is loaded when it is first used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core import checks
from django.db import transaction

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
from hosting.ids import uuid7
from hosting.queues.options import LONGEST_NAME, BackendOptions, problems, read_options
from hosting.queues.resolution import require_resolvable, resolve
from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.codec import encode_arguments
from hosting.queues.stores.results import to_result
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

        Raises `InvalidTask`; `ArgumentError`, a TypeError, for an argument that cannot be JSON;
        `ConfigurationError` if this backend's settings are wrong; and what the database raises.
        """
        self.validate_task(task)
        require_resolvable(task)
        store = self.store
        [record] = store.add([self._new_job(task, args, kwargs)])
        result = to_result(record, task)
        task_enqueued.send_robust(sender=type(self), task_result=result)
        transaction.on_commit(partial(wake, store.alias), using=store.alias)
        return result

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

    def _new_job(
        self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> NewJob:
        encoded_args, encoded_kwargs = encode_arguments(task.module_path, args, kwargs)
        return NewJob(
            id=uuid7(),
            backend=self.alias,
            queue_name=task.queue_name,
            priority=int(task.priority),
            task_path=task.module_path,
            args=encoded_args,
            kwargs=encoded_kwargs,
            run_after=task.run_after,
        )

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
