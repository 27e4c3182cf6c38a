"""What people do with jobs from outside, the same way on every database."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import IntegrityError

from hosting.compat import TaskResultStatus
from hosting.models import Enqueued, Job, JobResult, JobState
from hosting.queues.stores.clock import DatabaseNow
from hosting.queues.stores.duties import Control
from hosting.queues.stores.ending import cancellation, finish
from hosting.queues.stores.expressions import when_due
from hosting.queues.stores.tables import Tables


class TableControl(Control):
    """Control through the ORM."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def cancel(self, ids: Collection[UUID]) -> set[UUID]:
        with self._tables.atomic():
            jobs = self._tables.jobs.filter(id__in=list(ids)).order_by("id")
            rows = list(self._tables.locked(jobs))
            running = [row.id for row in rows if row.state == JobState.RUNNING]
            self._tables.jobs.filter(id__in=running).update(cancel_requested=True)
            idle = [row for row in rows if row.state != JobState.RUNNING]
            finish(self._tables, [(row, cancellation(row, begun=False)) for row in idle])
        return {row.id for row in rows}

    def asked_to_end(self, process: str) -> set[UUID]:
        # By an index of its own: that of what runs holds an entry for all that ran before, too.
        asked = self._tables.jobs.filter(cancel_requested=True, claimed_by=process)
        return set(asked.values_list("id", flat=True))

    def retry(self, ids: Collection[UUID]) -> set[UUID]:
        with self._tables.atomic():
            failed = self._tables.results.filter(id__in=list(ids), status=TaskResultStatus.FAILED)
            rows = list(self._tables.locked(failed.order_by("id")))
            self._tables.jobs.bulk_create([_again(row) for row in rows if row.unique_key is None])
            taken = [row for row in rows if row.unique_key is not None and not self._add(row)]
            again = {row.id for row in rows} - {row.id for row in taken}
            self._tables.results.filter(id__in=again).delete()
        return again

    def _add(self, row: JobResult) -> bool:
        """Have the job wait to run again, unless another has its key now."""
        try:
            with self._tables.atomic():
                self._tables.jobs.bulk_create([_again(row)])
        except IntegrityError:
            return False
        return True

    def discard(self, ids: Collection[UUID]) -> set[UUID]:
        discarded: set[UUID] = set()
        with self._tables.atomic():
            jobs = self._tables.jobs.filter(id__in=list(ids)).exclude(state=JobState.RUNNING)
            for rows in (jobs, self._tables.results.filter(id__in=list(ids))):
                found = [row.id for row in self._tables.locked(rows.order_by("id"))]
                rows.filter(id__in=found).delete()
                discarded |= set(found)
        return discarded

    def hasten(self, ids: Collection[UUID]) -> set[UUID]:
        with self._tables.atomic():
            waiting = self._tables.jobs.filter(id__in=list(ids), state=JobState.WAITING)
            found = [row.id for row in self._tables.locked(waiting.order_by("id"))]
            early = self._tables.jobs.filter(id__in=found, state=JobState.WAITING)
            early.update(state=when_due(), due_at=DatabaseNow())
        return set(found)

    # Queues

    def pause_queue(self, backend: str, name: str) -> bool:
        _, is_new = self._tables.paused_queues.get_or_create(backend=backend, name=name)
        return is_new

    def resume_queue(self, backend: str, name: str) -> bool:
        row = self._tables.paused_queues.filter(backend=backend, name=name)
        return bool(row.delete()[0])

    def paused_queues(self, backend: str) -> frozenset[str]:
        rows = self._tables.paused_queues.filter(backend=backend)
        return frozenset(rows.values_list("name", flat=True))


def _again(row: JobResult) -> Job:
    kept = {field.attname: getattr(row, field.attname) for field in Enqueued._meta.fields}
    state = JobState.BLOCKED if row.limit_key else JobState.READY
    return Job(**kept, state=state, due_at=DatabaseNow())
