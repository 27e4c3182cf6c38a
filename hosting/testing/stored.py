"""What tests ask and do of the jobs that are stored: which there are, and that time passes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import F, Q

from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS, Task, normalize_json
from hosting.queues.backends import DatabaseBackend
from hosting.queues.calls import database_backend
from hosting.queues.stores.clock import DatabaseNow
from hosting.queues.stores.values import JobRecord
from hosting.schedules import parse_interval

#: How far a `run_after` may be from the timedelta that is asked for, as an enqueue takes a moment.
TOLERANCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueuedJob:
    """A job that has not ended, as it was enqueued."""

    id: str
    task_path: str
    args: list[Any]
    kwargs: dict[str, Any]
    queue_name: str
    priority: int
    run_after: datetime | None
    enqueued_at: datetime

    def __str__(self) -> str:
        given = [repr(each) for each in self.args]
        given += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        when = f", run_after {self.run_after}" if self.run_after else ""
        return f"{self.task_path}({', '.join(given)}), queue {self.queue_name!r}{when}"


def enqueued(
    task: Task[..., Any] | None = None, *, backend: str = DEFAULT_TASK_BACKEND_ALIAS
) -> list[EnqueuedJob]:
    """The jobs of a task that have not ended, or all of a backend, in the order of enqueueing.

    Raises TypeError for a backend whose jobs are in no database.
    """
    found = database_backend(backend if task is None else task.backend)
    jobs = _manager(found, "Job").filter(backend=found.alias)
    if task is not None:
        jobs = jobs.filter(task_path=task.module_path)
    records = found.store.get(list(jobs.values_list("id", flat=True)))
    return [_job(records[job_id]) for job_id in sorted(records)]


def assert_enqueued(
    task: Task[..., Any],
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    count: int | None = None,
    queue: str | None = None,
    run_after: datetime | timedelta | None = None,
) -> list[EnqueuedJob]:
    """Assert that there are `count` such jobs that have not ended (None: one or more).

    Returns them. What is None may be anything; arguments are compared as JSON, as they were given.
    A timedelta as `run_after` is from the enqueue, give or take 5 seconds.
    """
    asked = {"args": args, "kwargs": kwargs, "queue": queue, "run_after": run_after}
    given = {name: value for name, value in asked.items() if value is not None}
    found = [job for job in enqueued(task) if _fits(job, given)]
    if found if count is None else len(found) == count:
        return found
    such = ", ".join(f"{name} {value!r}" for name, value in given.items())
    expected = "1 or more" if count is None else count
    there = [f"  {job}" for job in enqueued(backend=task.backend)] or ["  no job"]
    raise AssertionError(
        "\n".join(
            [
                f"{len(found)} jobs of {task.module_path}{f' with {such}' if such else ''}, "
                f"expected: {expected}. Enqueued and not ended in {task.backend!r}:",
                *there,
            ]
        )
    )


def pass_time(span: float | timedelta, *, backend: str = DEFAULT_TASK_BACKEND_ALIAS) -> None:
    """Let time pass for what is stored in a backend's database (seconds, or a timedelta).

    Due times (`run_after`, further attempts, snoozes), expiries, rates and the periods of unique
    jobs come so much nearer; what is due then is executed by the next `drain`, or by a worker.
    No clock is moved: `timezone.now()` and the database go on as they were, and so do the times in
    results, retention, leases and signs of life.
    """
    found, past = database_backend(backend), timedelta(seconds=parse_interval(span))
    moments = {"Job": ("due_at", "expires_at"), "Limit": ("free_at",), "Reservation": ("until",)}
    for model, fields in moments.items():
        for field in fields:
            rows = _manager(found, model).filter(**{f"{field}__isnull": False})
            rows.update(**{field: F(field) - past})


def bring_forward(
    backend: DatabaseBackend, queues: Collection[str] | None, *, scheduled: bool, failed: bool
) -> bool:
    """Make the next job due that waits for its time, or for another attempt; False if none does."""
    chosen = Q(pk__in=[])
    if scheduled:
        chosen |= Q(failures=0)
    if failed:
        chosen |= Q(failures__gt=0)
    waiting = _manager(backend, "Job").filter(chosen, backend=backend.alias, state="waiting")
    if queues is not None:
        waiting = waiting.filter(queue_name__in=list(queues))
    first = waiting.order_by("due_at", "id").first()
    if first is None:
        return False
    waiting.filter(pk=first.pk).update(due_at=DatabaseNow())
    return True


def _manager(backend: DatabaseBackend, model: str) -> Any:
    # The models are looked up late: this module may be imported before apps are loaded.
    return apps.get_model("hosting", model)._base_manager.using(backend.store.alias)


def _job(record: JobRecord) -> EnqueuedJob:
    return EnqueuedJob(
        id=str(record.id),
        task_path=record.task_path,
        args=record.args,
        kwargs=record.kwargs,
        queue_name=record.queue_name,
        priority=record.priority,
        run_after=record.run_after,
        enqueued_at=record.enqueued_at,
    )


def _fits(job: EnqueuedJob, asked: Mapping[str, Any]) -> bool:
    if "args" in asked and normalize_json(list(asked["args"])) != job.args:
        return False
    if "kwargs" in asked and normalize_json(dict(asked["kwargs"])) != job.kwargs:
        return False
    if "queue" in asked and asked["queue"] != job.queue_name:
        return False
    return "run_after" not in asked or _is_at(job, asked["run_after"])


def _is_at(job: EnqueuedJob, moment: datetime | timedelta) -> bool:
    if job.run_after is None or isinstance(moment, datetime):
        return job.run_after == moment
    return abs(job.run_after - job.enqueued_at - moment) <= TOLERANCE
