"""Everything that is known of one job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hosting.compat import TaskError, TaskResultStatus
from hosting.models import Enqueued, Job, JobResult, JobState
from hosting.queues.inspection import shown_arguments
from hosting.queues.stores.rows import to_record
from hosting.queues.stores.values import JobRecord
from hosting.texts import shortened

#: Characters of a value that a page shows.
LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class Step:
    """Something that has happened to a job, or will."""

    name: str
    at: datetime | None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that failed."""

    number: int
    error: str  # the path of its class
    traceback: str

    @property
    def summary(self) -> str:
        """The last line of the traceback, which says what was raised."""
        return (self.traceback.strip().splitlines() or [""])[-1]


@dataclass(frozen=True, slots=True)
class Detail:
    """One job as its page shows it."""

    record: JobRecord
    state: str
    args: str
    kwargs: str
    result: str | None  # None: there is none
    attempts: Sequence[Attempt]
    steps: Sequence[Step]
    more: Mapping[str, str]
    actions: Sequence[str]


def state_of(row: Enqueued) -> str:
    """The state of a job as the list names it."""
    if isinstance(row, Job):
        return str(row.state)
    assert isinstance(row, JobResult)
    return str(row.status).lower()


def possible(row: Enqueued) -> list[str]:
    """What can be done with the job now."""
    state = state_of(row)
    if isinstance(row, Job):
        is_asked = row.state == JobState.RUNNING and row.cancel_requested
        return [
            *(["hasten"] if state == JobState.WAITING else []),
            *([] if is_asked else ["cancel"]),
            *([] if state == JobState.RUNNING else ["discard"]),
        ]
    return [*(["retry"] if state == "failed" else []), "discard"]


def detail_of(row: Enqueued) -> Detail:
    """What a row says."""
    record = to_record({field.attname: getattr(row, field.attname) for field in row._meta.fields})
    args, kwargs = shown_arguments(record.task_path, record.args, record.kwargs)
    has_result = record.status == TaskResultStatus.SUCCESSFUL
    return Detail(
        record=record,
        state=state_of(row),
        args=_as_text(args) if args else "",
        kwargs=_as_text(kwargs) if kwargs else "",
        result=_as_text(record.return_value) if has_result else None,
        attempts=[_attempt(*each) for each in enumerate(record.errors, 1)],
        steps=list(_steps(row, record)),
        more=dict(_more(row)),
        actions=possible(row),
    )


def _attempt(number: int, error: TaskError) -> Attempt:
    return Attempt(number, error.exception_class_path, error.traceback)


def _steps(row: Enqueued, record: JobRecord) -> Iterator[Step]:
    yield Step("Enqueued", record.enqueued_at)
    if isinstance(row, Job) and row.state != JobState.RUNNING:
        yield Step("Due", row.due_at)
    elif record.run_after:
        yield Step("Due", record.run_after)
    count = len(record.worker_ids)
    if record.started_at:
        yield Step("First attempt", record.started_at, _by(record.worker_ids[:1]))
    if record.last_attempted_at and count > 1:
        yield Step(f"Attempt {count}", record.last_attempted_at, _by(record.worker_ids[-1:]))
    if isinstance(row, Job) and row.cancel_requested:
        yield Step("To be cancelled", None, "it has been asked to end")
    if record.finished_at:
        yield Step("Finished", record.finished_at, state_of(row))


def _by(workers: Sequence[str]) -> str:
    return f"by {workers[0]}" if workers else ""


def _more(row: Enqueued) -> Iterator[tuple[str, str]]:
    """What only some jobs have."""
    if isinstance(row, Job):
        if row.state == JobState.RUNNING:
            yield "Claimed by", row.claimed_by
        if row.failures:
            yield "Failures that count", str(row.failures)
        if row.deaths:
            yield "Workers that died of it", str(row.deaths)
        if row.batch_id:
            yield "Batch", str(row.batch_id)
    for name, value in (("Limit", row.limit_key), ("Unique by", row.unique_key)):
        if value:
            yield name, str(value)
    if row.options:
        yield "Options of this call", row.options[:LONGEST]


def _as_text(value: Any) -> str:
    return shortened(json.dumps(value, indent=2, ensure_ascii=False), LONGEST)
