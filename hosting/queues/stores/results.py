"""Records as the `TaskResult` of Django's task API."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from hosting.compat import InvalidTask, Task, TaskError, TaskResult, TaskResultStatus
from hosting.queues.stores.codec import DamagedJob, decode_dict, decode_list
from hosting.queues.stores.values import JobRecord, NewJob


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


def result_of_new(job: NewJob, task: Task[..., Any]) -> TaskResult[..., Any]:
    """The result of a job of this task that is about to be added; not yet when it was enqueued."""
    # Its arguments are read from what is stored, as the results of a backend are.
    return TaskResult(
        task=as_enqueued(job, task),
        id=str(job.id),
        status=TaskResultStatus.READY,
        enqueued_at=None,
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        args=decode_list(job.args),
        kwargs=decode_dict(job.kwargs),
        backend=job.backend,
        errors=[],
        worker_ids=[],
    )


def note_enqueued(result: TaskResult[..., Any], moment: datetime) -> None:
    """Note when the job of a new result was enqueued."""
    object.__setattr__(result, "enqueued_at", moment)  # as the class is frozen


def as_enqueued(record: JobRecord | NewJob, task: Task[..., Any]) -> Task[..., Any]:
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
