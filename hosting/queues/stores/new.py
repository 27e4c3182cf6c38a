"""A job as it is when it has just been added."""

from __future__ import annotations

from datetime import datetime

from hosting.models import JobState
from hosting.queues.stores.rows import to_record
from hosting.queues.stores.values import JobRecord, NewJob


def initial_state(job: NewJob) -> str:
    """The state of a new job whose time has come."""
    if job.is_held:
        return str(JobState.HELD.value)
    return str(JobState.BLOCKED.value if job.limit else JobState.READY.value)


def record_of_new(job: NewJob, state: str, enqueued_at: datetime) -> JobRecord:
    """The record of a job that was added in this state at this moment."""
    return to_record(
        {
            "id": job.id,
            "backend": job.backend,
            "queue_name": job.queue_name,
            "rank": -job.priority,
            "task_path": job.task_path,
            "args": job.args,
            "kwargs": job.kwargs,
            "options": job.options,
            "run_after": job.run_after,
            "enqueued_at": enqueued_at,
            "started_at": None,
            "claimed_at": None,
            "errors": "[]",
            "worker_ids": "[]",
            "fence": 0,
            "progress": "",
            "state": state,
        }
    )
