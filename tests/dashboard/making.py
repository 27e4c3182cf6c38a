"""Jobs in every state, made as the queue makes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from hosting.compat import TaskError
from hosting.models import Job, JobState
from hosting.queues.stores import store_for
from hosting.queues.stores.values import Failed, Retry, Settlement, Succeeded, Wanted
from tests.queues import tasks

BROKEN = TaskError(exception_class_path="builtins.OSError", traceback="Traceback:\nOSError: no <b>")


def enqueue(*args: Any, task: Any = tasks.note, **kwargs: Any) -> UUID:
    """A job that is ready."""
    return UUID(task.enqueue(*args, **kwargs).id)


def waiting(*args: Any, task: Any = tasks.note) -> UUID:
    """A job that waits for tomorrow."""
    return UUID(task.using(run_after=timedelta(days=1)).enqueue(*args).id)


def in_state(state: JobState, *args: Any) -> UUID:
    """A job that waits for something else."""
    job = enqueue(*args)
    Job.objects.filter(pk=job).update(state=state, limit_key="k", batch_id=job)
    return job


def running(*args: Any, task: Any = tasks.note) -> UUID:
    """A job that a worker holds."""
    job = enqueue(*args, task=task)
    claim(job)
    return job


def claim(job: UUID) -> Any:
    others = Job.objects.exclude(pk=job).filter(state=JobState.READY)
    hidden = list(others.values_list("pk", flat=True))
    Job.objects.filter(pk__in=hidden).update(state=JobState.HELD)
    [claimed] = store_for("default").claim(Wanted("host:1:ab", "default", None, 1))
    Job.objects.filter(pk__in=hidden).update(state=JobState.READY)
    assert claimed.id == job
    return claimed


def ended(*args: Any, task: Any = tasks.note, error: TaskError | None = None) -> UUID:
    """A job that has succeeded, or failed with this error."""
    job = enqueue(*args, task=task)
    claimed = claim(job)
    result = Failed(error) if error else Succeeded('"done"')
    store_for("default").settle([Settlement(job, claimed.fence, result)])
    return job


def failed(*args: Any, task: Any = tasks.note) -> UUID:
    """A job that has failed."""
    return ended(*args, task=task, error=BROKEN)


def failed_once(*args: Any) -> UUID:
    """A job that has failed and waits for its next attempt."""
    job = enqueue(*args)
    claimed = claim(job)
    store_for("default").settle([Settlement(job, claimed.fence, Retry(BROKEN, 3600))])
    return job


def state(job: UUID) -> str | None:
    """The state in which a job waits or runs; None: it has ended, or is gone."""
    return Job.objects.filter(pk=job).values_list("state", flat=True).first()
