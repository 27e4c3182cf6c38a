"""Records as the `TaskResult` of Django's task API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hosting.compat import InvalidTask, Task, TaskError, TaskResult, TaskResultStatus
from hosting.queues.stores.codec import DamagedJob
from hosting.queues.stores.values import JobRecord


def to_result(record: JobRecord, task: Task[..., Any]) -> TaskResult[..., Any]:
    """The result of a job of this task; what is damaged is empty, and told in `errors`."""
    result = TaskResult(
        task=as_enqueued(record, task),
        id=str(record.id),
        status=record.status,
        enqueued_at=record.enqueued_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        last_attempted_at=record.last_attempted_at,
        args=record.args,
        kwargs=record.kwargs,
        backend=record.backend,
        errors=[*record.errors, *_damage(record)],
        worker_ids=list(record.worker_ids),
    )
    if record.status == TaskResultStatus.SUCCESSFUL:
        # The class is frozen and takes no return value: this is how its own backends set it.
        object.__setattr__(result, "_return_value", record.return_value)
    return result


def as_enqueued(record: JobRecord, task: Task[..., Any]) -> Task[..., Any]:
    """The task with the priority, queue and time with which this job was enqueued."""
    if (task.backend, task.queue_name, task.priority, task.run_after) == (
        record.backend,
        record.queue_name,
        record.priority,
        record.run_after,
    ):
        return task  # as nearly always, and making another is not cheap
    try:
        return replace(
            task,
            backend=record.backend,
            queue_name=record.queue_name,
            priority=record.priority,
            run_after=record.run_after,
        )
    except InvalidTask:
        return task  # The settings allow that no more, for example because the queue is gone.


def _damage(record: JobRecord) -> list[TaskError]:
    path = f"{DamagedJob.__module__}.{DamagedJob.__qualname__}"
    told = any(error.exception_class_path == path for error in record.errors)
    if record.damage is None or told:
        return []
    return [TaskError(exception_class_path=path, traceback=f"{path}: {record.damage}\n")]
