"""The store for any database that Django supports: it goes through the ORM only.

Where rows can be locked and locked ones skipped, a claim locks them. Elsewhere it reads what is due
and then updates row by row on the condition that nobody was faster.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Case, Count, F, Q, QuerySet, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Concat, Length, Substr

from hosting.compat import TaskResultStatus
from hosting.models import Job
from hosting.queues.stores.base import (
    Claim,
    Depth,
    Failed,
    JobRecord,
    NewJob,
    Retry,
    Settlement,
    Store,
    Succeeded,
)
from hosting.queues.stores.clock import DatabaseNow
from hosting.queues.stores.codec import encode_error
from hosting.queues.stores.rows import to_record

READY = TaskResultStatus.READY
RUNNING = TaskResultStatus.RUNNING
FINISHED = (TaskResultStatus.SUCCESSFUL, TaskResultStatus.FAILED)


class GenericStore(Store):
    """Keeps jobs through the ORM."""

    def add(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        with self._atomic():
            self._jobs.bulk_create([new_row(job, DatabaseNow(), DatabaseNow()) for job in jobs])
            written = self._jobs.filter(id__in=[job.id for job in jobs])
            moments = {
                row[0]: row[1:] for row in written.values_list("id", "enqueued_at", "due_at")
            }
        return [to_record(new_row(job, *moments[job.id])) for job in jobs]

    def claim(
        self, worker_id: str, backend: str, queues: Collection[str] | None, limit: int
    ) -> list[Claim]:
        due = self._ready(backend, queues).filter(due_at__lte=DatabaseNow())
        first = due.order_by("-priority", "due_at", "id")[:limit]
        if self._connection.features.has_select_for_update_skip_locked:
            with self._atomic():
                ids = list(first.select_for_update(skip_locked=True).values_list("id", flat=True))
                self._jobs.filter(id__in=ids).update(**_claimed(worker_id))
                return self._claims(self._jobs.filter(id__in=ids))
        mine = Q()
        for job_id, fence in list(first.values_list("id", "fence")):
            if due.filter(id=job_id, fence=fence).update(**_claimed(worker_id)):
                mine |= Q(id=job_id, fence=fence + 1)
        return self._claims(self._jobs.filter(mine)) if mine else []

    def settle(self, settlements: Collection[Settlement]) -> dict[UUID, datetime | None]:
        with self._atomic():
            accepted = [
                settlement.id
                for settlement in settlements
                if self._held(settlement.id, settlement.fence).update(**_settled(settlement))
            ]
            finished = self._jobs.filter(id__in=accepted).values_list("id", "finished_at")
            return dict(finished) if accepted else {}

    def release(self, claims: Collection[Claim]) -> set[UUID]:
        with self._atomic():
            return {
                claim.id
                for claim in claims
                if self._held(claim.id, claim.fence).update(status=READY, claimed_by="")
            }

    def held_by(self, worker_id: str) -> list[Claim]:
        return self._claims(self._jobs.filter(claimed_by=worker_id, status=RUNNING))

    def get(self, ids: Collection[UUID]) -> dict[UUID, JobRecord]:
        return {row.id: to_record(row) for row in self._jobs.filter(id__in=list(ids))}

    def seconds_until_due(self, backend: str, queues: Collection[str] | None) -> float | None:
        moments = self._ready(backend, queues).annotate(now=DatabaseNow())
        first = moments.order_by("due_at").values_list("due_at", "now").first()
        return (first[0] - first[1]).total_seconds() if first else None

    def counts(self) -> list[Depth]:
        groups = self._jobs.values_list("backend", "queue_name", "status")
        return [
            Depth(backend, queue_name, TaskResultStatus(status), jobs)
            for backend, queue_name, status, jobs in groups.annotate(Count("id")).order_by(
                "backend", "queue_name", "status"
            )
        ]

    def delete_finished(self, older_than: timedelta, limit: int) -> int:
        old = self._jobs.filter(status__in=FINISHED, finished_at__lt=DatabaseNow() - older_than)
        # By id, which grows with time, and so along the primary key from its oldest end.
        ids = list(old.order_by("id").values_list("id", flat=True)[:limit])
        return self._jobs.filter(id__in=ids).delete()[0]

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self.alias]

    @property
    def _jobs(self) -> QuerySet[Job]:
        return Job._base_manager.using(self.alias)

    def _atomic(self) -> AbstractContextManager[Any]:
        """A transaction for reading and writing, or a part of the caller's."""
        return transaction.atomic(using=self.alias)

    def _ready(self, backend: str, queues: Collection[str] | None) -> QuerySet[Job]:
        ready = self._jobs.filter(status=READY, backend=backend)
        return ready if queues is None else ready.filter(queue_name__in=list(queues))

    def _held(self, job_id: UUID, fence: int) -> QuerySet[Job]:
        return self._jobs.filter(id=job_id, fence=fence, status=RUNNING)

    def _claims(self, rows: Iterable[Job]) -> list[Claim]:
        ordered = sorted(rows, key=lambda row: (-row.priority, row.due_at, row.id))
        return [Claim(to_record(row)) for row in ordered]


def new_row(job: NewJob, enqueued_at: Any, due_at: Any) -> Job:
    """The row of a new job; `run_after` comes before `due_at`."""
    return Job(
        id=job.id,
        backend=job.backend,
        queue_name=job.queue_name,
        priority=job.priority,
        task_path=job.task_path,
        args=job.args,
        kwargs=job.kwargs,
        run_after=job.run_after,
        enqueued_at=enqueued_at,
        due_at=job.run_after or due_at,
    )


def _claimed(worker_id: str) -> Mapping[str, Any]:
    return {
        "status": RUNNING,
        "fence": F("fence") + 1,
        "claimed_by": worker_id,
        "worker_ids": _appended("worker_ids", json.dumps(worker_id)),
        "started_at": Coalesce("started_at", DatabaseNow()),
        "last_attempted_at": DatabaseNow(),
    }


def _settled(settlement: Settlement) -> Mapping[str, Any]:
    values: dict[str, Any] = {"status": settlement.status, "claimed_by": ""}
    match settlement.result:
        case Succeeded(return_value):
            return {**values, "return_value": return_value, "finished_at": DatabaseNow()}
        case Failed(error):
            errors = _appended("errors", encode_error(error))
            return {**values, "errors": errors, "finished_at": DatabaseNow()}
        case Retry(error, delay):
            errors = _appended("errors", encode_error(error))
            due_at = DatabaseNow() + timedelta(seconds=delay)
            return {**values, "errors": errors, "due_at": due_at}


def _appended(column: str, item: str) -> Combinable:
    """The JSON list in the column with one more item, or a new list if the column holds none."""
    shorter = Substr(column, 1, Length(column) - 1)
    return Case(
        When(
            Q(**{f"{column}__startswith": "[", f"{column}__endswith": "]"}) & ~Q(**{column: "[]"}),
            then=Concat(shorter, Value(f", {item}]"), output_field=TextField()),
        ),
        default=Value(f"[{item}]"),
        output_field=TextField(),
    )
