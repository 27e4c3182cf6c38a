"""Jobs as people and programs read them: the content of `manage.py tasks`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from hosting.compat import Task
from hosting.queues.declared import redacted
from hosting.queues.resolution import UnknownTask, resolve
from hosting.queues.stores.browsing import Found, JobDetails, ListedJob

HEADER = ("ID", "STATE", "QUEUE", "PRIORITY", "TASK", "ENQUEUED", "DUE, OR ENDED")


def as_row(job: ListedJob) -> tuple[str, ...]:
    """The cells of a job in the text table."""
    moment = job.finished_at or job.due_at
    return (
        str(job.id),
        job.state,
        job.queue_name,
        str(-job.rank),
        job.task_path,
        _moment(job.enqueued_at),
        _moment(moment),
    )


def list_as_json(found: Found) -> dict[str, Any]:
    """A list in JSON values."""
    jobs = [
        {
            "id": str(job.id),
            "state": job.state,
            "queue": job.queue_name,
            "priority": -job.rank,
            "task": job.task_path,
            "enqueued_at": _iso(job.enqueued_at),
            "due_at": _iso(job.due_at),
            "finished_at": _iso(job.finished_at),
        }
        for job in found.jobs
    ]
    return {"jobs": jobs, "was_cut_short": found.was_cut_short}


def details_as_json(found: JobDetails) -> dict[str, Any]:
    """One job in JSON values."""
    record = found.record
    args, kwargs = shown_arguments(record.task_path, record.args, record.kwargs)
    return {
        "id": str(record.id),
        "task": record.task_path,
        "state": found.state,
        "backend": record.backend,
        "queue": record.queue_name,
        "priority": record.priority,
        "args": args,
        "kwargs": kwargs,
        "options": json.loads(record.options) if record.options else {},
        "timeline": {name: _iso(moment) for name, moment in _timeline(found)},
        "attempts": len(record.worker_ids),
        "failures": found.failures,
        "worker_ids": list(record.worker_ids),
        "is_cancelled": found.is_cancelled,
        "batch": str(found.batch_id) if found.batch_id else None,
        "progress": json.loads(record.progress) if record.progress else None,
        "return_value": record.return_value,
        "errors": [
            {"class": error.exception_class_path, "traceback": error.traceback}
            for error in record.errors
        ],
        "damage": record.damage,
    }


def details_as_text(found: JobDetails) -> Iterator[str]:
    """One job in lines."""
    shown = details_as_json(found)
    for name in ("id", "task", "state", "backend", "queue", "priority", "args", "kwargs"):
        yield _line(name, shown[name])
    for name in ("options", "attempts", "failures", "is_cancelled", "batch", "progress", "damage"):
        if shown[name]:
            yield _line(name, shown[name])
    for name, moment in _timeline(found):
        if moment is not None:
            yield _line(name, _moment(moment))
    for number, worker in enumerate(shown["worker_ids"], 1):
        yield _line(f"attempt {number}", f"by {worker}")
    if found.state == "successful":
        yield _line("return_value", json.dumps(shown["return_value"]))
    for number, error in enumerate(shown["errors"], 1):
        yield ""
        yield f"Error {number} of {len(shown['errors'])}: {error['class']}"
        yield from (f"  {line}" for line in error["traceback"].splitlines())


def shown_arguments(
    task_path: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a job as people may see them; who shows a job shows no others."""
    return redacted(args, kwargs, known_task(task_path))


def known_task(task_path: str) -> Task[..., Any] | None:
    """The task at this path; None if it is not in the code of this process."""
    try:
        return resolve(task_path)
    except UnknownTask:
        return None


def _timeline(found: JobDetails) -> list[tuple[str, datetime | None]]:
    record = found.record
    return [
        ("enqueued_at", record.enqueued_at),
        ("run_after", record.run_after),
        ("due_at", found.due_at),
        ("expires_at", found.expires_at),
        ("started_at", record.started_at),
        ("last_attempted_at", record.last_attempted_at),
        ("finished_at", record.finished_at),
    ]


def _line(name: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{name:18}{text}"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(" ", "seconds")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
