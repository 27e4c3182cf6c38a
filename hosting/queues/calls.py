"""What projects call beside `task.enqueue`: many calls, batches, steering of jobs and queues."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Any

from django.db import transaction

from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS, Task, TaskResult, task_backends
from hosting.ids import uuid7
from hosting.queues.backends import DatabaseBackend
from hosting.queues.newjobs import Call, Place
from hosting.queues.wakeup import wake_all


def enqueue_many(task: Task[..., Any], calls: Iterable[Call]) -> list[str]:
    """Enqueue a call of the task for every item, and return the ids of the results in order.

    A call is a tuple of positional arguments, or a dict of keyword arguments. A thousand calls take
    one round trip; all are written in one transaction, or none. Raises TypeError for a task of
    another backend, and what `task.enqueue` raises.
    """
    return database_backend(task.backend).enqueue_many(task, calls)


def enqueue_on_commit(database: str, task: Task[..., Any], *args: Any, **kwargs: Any) -> None:
    """Enqueue the call once the transaction on another database commits, and not if it does not.

    For a task whose jobs are in the same database this is not needed: they commit with the caller.
    Here, a process that dies between the two commits loses the job.
    """
    transaction.on_commit(partial(task.enqueue, *args, **kwargs), using=database)


def cancel(result: TaskResult[..., Any]) -> bool:
    """End a job that does not run yet, or ask one that runs to end; False if it has ended.

    What ends so is FAILED with `JobCancelled`. A job that runs sees it by `context.cancelled` and
    its token, within about a second.
    """
    return database_backend(result.backend).steer("cancel", result)


def retry(result: TaskResult[..., Any]) -> bool:
    """Run a job that has failed once more, with a new count of failures.

    False if it has not failed, or is unique and there is another such job now.
    """
    return database_backend(result.backend).steer("retry", result)


def discard(result: TaskResult[..., Any]) -> bool:
    """Forget a job that does not run, or its result; False if it runs, or there is none."""
    return database_backend(result.backend).steer("discard", result)


def pause_queue(name: str, backend: str = DEFAULT_TASK_BACKEND_ALIAS) -> bool:
    """Have no job of this queue begin until it is resumed; False if it is paused already.

    Jobs can still be enqueued, and those that run go on. Workers notice it within about a second.
    """
    return database_backend(backend).store.control.pause_queue(backend, name)


def resume_queue(name: str, backend: str = DEFAULT_TASK_BACKEND_ALIAS) -> bool:
    """Let the jobs of this queue begin again; False if it is not paused."""
    store = database_backend(backend).store
    is_resumed = store.control.resume_queue(backend, name)
    wake_all(store)
    return is_resumed


class Batch:
    """Jobs of one backend, and a call that follows once all of them have ended, however they did.

    ```python
    with Batch() as batch:
        batch.enqueue_many(resize, [(name,) for name in names])
        batch.then(report, album_id)
    ```

    All are written in one transaction, or none. What is enqueued in the block by other means, by
    the jobs themselves for example, is not part of the batch.
    """

    def __init__(self, backend: str = "default") -> None:
        self.id = uuid7()
        self._backend = database_backend(backend)
        self._transaction = self._backend.store.atomic

    def __enter__(self) -> Batch:
        self._entered = self._transaction()
        self._entered.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.__exit__(exc_type, exc, traceback)

    def enqueue(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> TaskResult[..., Any]:
        """Enqueue a call that is part of the batch."""
        return self._owner(task).enqueue_for(Place(self.id), task, args, kwargs)

    def enqueue_many(self, task: Task[..., Any], calls: Iterable[Call]) -> list[str]:
        """Enqueue calls that are part of the batch; see the function of this name."""
        return self._owner(task).enqueue_many(task, calls, Place(self.id))

    def then(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> TaskResult[..., Any]:
        """Enqueue a call that begins once the batch has ended; may be used more than once."""
        return self._owner(task).enqueue_for(Place(self.id, is_held=True), task, args, kwargs)

    def _owner(self, task: Task[..., Any]) -> DatabaseBackend:
        if task.backend != self._backend.alias:
            raise ValueError(
                f"Task {task.module_path!r} is of the backend {task.backend!r}, allowed in this "
                f"batch: tasks of {self._backend.alias!r}."
            )
        return self._backend


def database_backend(alias: str) -> DatabaseBackend:
    """The task backend of this alias; raises TypeError for one whose jobs are in no database."""
    backend = task_backends[alias]
    if not isinstance(backend, DatabaseBackend):
        raise TypeError(
            f"The backend {alias!r} is a {type(backend).__name__}, allowed: one whose BACKEND is "
            "'hosting.queues.DatabaseBackend'."
        )
    return backend
