"""The store for any database that Django supports: it goes through the ORM only.

Where rows can be locked and locked ones skipped, a claim locks them. Elsewhere it reads what is due
and then updates row by row on the condition that nobody was faster.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Case, F, QuerySet, Value, When

from hosting.models import Job, JobState
from hosting.queues.stores.base import Store
from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.queues.stores.codec import encode_error
from hosting.queues.stores.control import TableControl
from hosting.queues.stores.duties import Control, Upkeep
from hosting.queues.stores.ending import cancellation, finish, instead_of
from hosting.queues.stores.expressions import after_attempt, appended, is_running
from hosting.queues.stores.keys import add_unique, write_limits
from hosting.queues.stores.new import initial_state, limit_key, row_key
from hosting.queues.stores.rows import claim_of
from hosting.queues.stores.scheduled import Schedules
from hosting.queues.stores.schedules import TableSchedules
from hosting.queues.stores.tables import Tables
from hosting.queues.stores.upkeep import TableUpkeep
from hosting.queues.stores.values import (
    Claim,
    Exchange,
    JobRecord,
    Key,
    Look,
    NewJob,
    Retry,
    Settlement,
    Wanted,
)


class GenericStore(Tables, Store):
    """Keeps jobs through the ORM."""

    def add(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        write_limits(self, jobs)
        if not any(job.unique_key for job in jobs):
            return self.insert(jobs) if jobs else []
        with self.atomic():
            return [
                add_unique(self, job, self.insert) if job.unique_key else self.insert([job])[0]
                for job in jobs
            ]

    def add_many(self, jobs: Sequence[NewJob]) -> None:
        write_limits(self, jobs[:1])
        self.jobs.bulk_create([new_row(job) for job in jobs])

    def insert(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        """Write the rows of new jobs; raises IntegrityError for a key that is taken."""
        with self.atomic():
            self.jobs.bulk_create([new_row(job) for job in jobs])
            written = self.get([job.id for job in jobs])
        return [written[job.id] for job in jobs]

    def exchange(self, settlements: Sequence[Settlement], wanted: Wanted | None) -> Exchange:
        with self.atomic():
            done = self._settle(settlements) if settlements else Exchange()
            return replace(done, claims=self._claim(wanted)) if wanted else done

    def savepoint(self, *, late: bool = False) -> str:
        return str(self.connection.savepoint())

    def release(self, claims: Collection[Claim], *, begun: bool) -> Exchange:
        changes = after_attempt() if begun else {"claimed_by": ""}
        with self.atomic():
            held = self._held({claim.id: claim.fence for claim in claims})
            cancelled = [row for row in held.values() if row.cancel_requested]
            moment = finish(self, [(row, cancellation(row, begun=begun)) for row in cancelled])
            self.jobs.filter(id__in=held).update(**{**changes, "state": JobState.READY})
        refused = frozenset(claim.id for claim in claims if claim.id not in held)
        return Exchange(refused, moment, cancelled=frozenset(row.id for row in cancelled))

    def held_by(self, worker_id: str) -> list[Claim]:
        return self._claims(self.jobs.filter(claimed_by=worker_id, state=JobState.RUNNING))

    def waited(self, claim: Claim) -> float:
        row: Job = claim.source
        return (row.claimed_at - row.due_at).total_seconds() if row.claimed_at else 0.0

    def look(
        self, backend: str, queues: Collection[str] | None, after: Mapping[str, Key] | None
    ) -> Look:
        waiting = self._in(JobState.WAITING, backend, queues)
        return Look(
            is_ready=after is None or self._in(JobState.READY, backend, queues).exists(),
            seconds_until_due=_seconds(waiting),
            is_held_up=self._is_held_up(backend),
        )

    def _is_held_up(self, backend: str) -> bool:
        # Said for the indexes: what is blocked has a limit, and what is held a batch.
        blocked = self._in(JobState.BLOCKED, backend, None).exclude(limit_key="")
        held = self._in(JobState.HELD, backend, None).filter(batch_id__isnull=False)
        return blocked.exists() or held.exists()

    def queue_names(self, backend: str) -> list[str]:
        ready = self.jobs.filter(state=JobState.READY, backend=backend)
        return sorted(ready.values_list("queue_name", flat=True).distinct())

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Give the statements in the block so many seconds; then their connection is hung up."""
        return nullcontext()

    def _in(self, state: JobState, backend: str, queues: Collection[str] | None) -> QuerySet[Job]:
        jobs = self.jobs.filter(state=state, backend=backend)
        return jobs if queues is None else jobs.filter(queue_name__in=list(queues))

    def _held(self, fences: Mapping[UUID, int]) -> dict[UUID, Job]:
        """The running jobs with these ids and fences, locked, by id, so that nobody deadlocks."""
        running = self.jobs.filter(is_running(), id__in=list(fences)).order_by("id")
        return {row.id: row for row in self.locked(running) if row.fence == fences[row.id]}

    @property
    def upkeep(self) -> Upkeep:
        return TableUpkeep(self)

    @property
    def control(self) -> Control:
        return TableControl(self)

    @property
    def schedules(self) -> Schedules:
        return TableSchedules(self)

    # Settle

    def _settle(self, settlements: Sequence[Settlement]) -> Exchange:
        held = self._held({each.id: each.fence for each in settlements})
        ended, refused, cancelled = [], [], []
        for each in settlements:
            row = held.get(each.id)
            if row is None:
                refused.append(each.id)
            elif not isinstance(each.result, Retry):
                ended.append((row, each))
            elif row.cancel_requested:
                ended.append((row, instead_of(each, row)))
                cancelled.append(each.id)
            else:
                self.jobs.filter(id=each.id).update(**retried(each, each.result))
        moment = finish(self, ended)
        return Exchange(frozenset(refused), moment, cancelled=frozenset(cancelled))

    # Claim

    def _claim(self, wanted: Wanted) -> list[Claim]:
        ready = self._in(JobState.READY, wanted.backend, wanted.queues)
        first = ready.order_by("rank", "due_at", "id")[: wanted.limit]
        if self.connection.features.has_select_for_update_skip_locked:
            ids = list(first.select_for_update(skip_locked=True).values_list("id", flat=True))
            self.jobs.filter(id__in=ids).update(**_claimed(wanted.worker_id))
        else:
            ids = [
                row_id
                for row_id, fence in list(first.values_list("id", "fence"))
                if ready.filter(id=row_id, fence=fence).update(**_claimed(wanted.worker_id))
            ]
        return self._claims(self.jobs.filter(id__in=ids)) if ids else []

    def _claims(self, rows: QuerySet[Job]) -> list[Claim]:
        ordered = rows.annotate(now=DatabaseNow()).order_by("rank", "due_at", "id")
        return [claim_of(row, bool(row.expires_at and row.expires_at < row.now)) for row in ordered]


def _seconds(waiting: QuerySet[Job]) -> float | None:
    moments = waiting.annotate(now=DatabaseNow()).order_by("due_at").values_list("due_at", "now")
    first = moments.first()
    return (first[0] - first[1]).total_seconds() if first else None


def new_row(job: NewJob) -> Job:
    """The row of a new job."""
    state: Any = initial_state(job)
    if job.run_after is not None and not job.is_held:
        is_early = Value(job.run_after, output_field=models.DateTimeField())
        state = Case(
            When(models.lookups.GreaterThan(is_early, DatabaseNow()), then=Value(JobState.WAITING)),
            default=Value(state),
            output_field=models.CharField(),
        )
    return Job(
        id=job.id,
        backend=job.backend,
        queue_name=job.queue_name,
        rank=-job.priority,
        task_path=job.task_path,
        args=job.args,
        kwargs=job.kwargs,
        options=job.options,
        limit_key=limit_key(job),
        run_after=job.run_after,
        enqueued_at=DatabaseNow(),
        due_at=job.run_after or DatabaseNow(),
        expires_at=None if job.expires_in is None else ago(timedelta(seconds=-job.expires_in)),
        state=state,
        unique_key=row_key(job),
        unique_until_claimed=job.unique_until_claimed,
        batch_id=job.batch_id,
    )


def retried(settlement: Settlement, result: Retry) -> Mapping[str, Any]:
    """What changes in the row of a job that is to be attempted again later."""
    changes = {
        **after_attempt(),
        "state": JobState.WAITING,
        "due_at": ago(timedelta(seconds=-result.delay)),
        "progress": settlement.progress,
    }
    if result.error is not None:
        changes["errors"] = appended("errors", Value(encode_error(result.error)))
        changes["failures"] = F("failures") + 1
    return changes


def _claimed(worker_id: str) -> Mapping[str, Any]:
    return {
        "state": JobState.RUNNING,
        "fence": F("fence") + 1,
        "claimed_by": worker_id,
        "claimed_at": DatabaseNow(),
        "unique_key": Case(
            When(unique_until_claimed=True, then=Value(None)), default=F("unique_key")
        ),
    }
