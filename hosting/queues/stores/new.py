"""A job as it is when it has just been added."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hosting.compat import TaskResultStatus
from hosting.models import JobState
from hosting.queues.stores.codec import decode_dict, decode_list
from hosting.queues.stores.values import JobRecord, NewJob


def initial_state(job: NewJob) -> str:
    """The state of a new job whose time has come."""
    if job.is_held:
        return str(JobState.HELD.value)
    return str(JobState.BLOCKED.value if job.limit else JobState.READY.value)


def limit_key(job: NewJob) -> str:
    """The key of a job's limit, "" for none."""
    return job.limit.key if job.limit else ""


def row_key(job: NewJob) -> str | None:
    """The unique key that its row has: none, if a reservation keeps it."""
    return None if job.unique_period is not None else job.unique_key


def first_values(job: NewJob) -> tuple[Any, ...]:
    """What its row has in the first columns, from `id` to `limit_key`."""
    return (
        job.id.hex,
        job.backend,
        job.queue_name,
        -job.priority,
        job.task_path,
        job.args,
        job.kwargs,
        job.options,
        limit_key(job),
    )


def record_of_new(job: NewJob, enqueued_at: datetime) -> JobRecord:
    """The record of a job that was added at this moment; the task API tells no states apart."""
    return JobRecord(
        id=job.id,
        backend=job.backend,
        queue_name=job.queue_name,
        priority=job.priority,
        task_path=job.task_path,
        args=decode_list(job.args),
        kwargs=decode_dict(job.kwargs),
        options=job.options,
        status=TaskResultStatus.READY,
        run_after=job.run_after,
        enqueued_at=enqueued_at,
        started_at=None,
        last_attempted_at=None,
        finished_at=None,
        return_value=None,
        errors=(),
        worker_ids=(),
        fence=0,
        progress="",
    )
