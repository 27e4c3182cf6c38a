"""Upkeep of jobs, the same way on every database."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from datetime import timedelta
from uuid import UUID

from django.db.models import Case, Exists, F, OuterRef, QuerySet, SmallIntegerField, Value, When

from hosting.compat import TaskResultStatus
from hosting.models import HostProcess, Job, JobState, Limit
from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.queues.stores.duties import BATCH, MAX_DEATHS, Rescue, Upkeep, WorkerLost, burial
from hosting.queues.stores.ending import cancellation, finish
from hosting.queues.stores.expressions import after_attempt, is_running, when_due
from hosting.queues.stores.pruning import prune
from hosting.queues.stores.tables import Tables
from hosting.queues.stores.values import Settlement
from hosting.version import VERSION


class TableUpkeep(Upkeep):
    """Upkeep through the ORM."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    # Time and limits

    def promote(self) -> int:
        jobs = self._tables.jobs
        due = jobs.filter(state=JobState.WAITING, due_at__lte=DatabaseNow())
        with self._tables.atomic():
            chosen = self._tables.skipping_locked(due.order_by("due_at"))
            ids = list(chosen.values_list("id", flat=True)[:BATCH])
            return jobs.filter(id__in=ids, state=JobState.WAITING).update(state=when_due())

    def admit(self) -> tuple[int, float | None]:
        blocked = self._tables.jobs.filter(state=JobState.BLOCKED).exclude(limit_key="")
        keys = list(blocked.order_by().values_list("limit_key", flat=True).distinct()[:BATCH])
        admitted, waits = 0, []
        for key in keys:
            count, wait = self._admit(key)
            admitted += count
            if wait is not None:
                waits.append(wait)
        return admitted, min(waits, default=None)

    def _admit(self, key: str) -> tuple[int, float | None]:
        jobs = self._tables.jobs.filter(limit_key=key)
        with self._tables.atomic():
            # The row of the limit is the lock: two who admit for one key come one after the other.
            rows = self._tables.limits.filter(key=key).annotate(now=DatabaseNow())
            limit = self._tables.locked(rows).first()
            free: float = BATCH
            if limit is not None and limit.running is not None:
                taken = jobs.filter(state__in=(JobState.READY, JobState.RUNNING)).count()
                free = min(free, limit.running - taken)
            if limit is not None and limit.count:
                return _by_rate(self._tables, limit, jobs, int(free))
            return _let_go(jobs, int(free)), None

    def release_held(self) -> int:
        jobs = self._tables.jobs
        others = jobs.filter(batch_id=OuterRef("batch_id")).exclude(state=JobState.HELD)
        held = jobs.filter(state=JobState.HELD, batch_id__isnull=False)
        free = held.filter(~Exists(others)).order_by("id")
        with self._tables.atomic():
            ids = [row.id for row in self._tables.skipping_locked(free)[:BATCH]]
            # It may have to wait for its time and its limit too.
            return held.filter(id__in=ids).update(state=JobState.WAITING) if ids else 0

    # Processes

    def renew(self, process: str, seconds: float) -> None:
        row = self._tables.processes.filter(id=process)
        alive = {"seen_at": DatabaseNow(), "alive_until": ago(timedelta(seconds=-seconds))}
        if not row.update(**alive):
            new = HostProcess(
                id=process,
                host_name=socket.gethostname()[:255],
                pid=os.getpid(),
                version=VERSION,
                started_at=DatabaseNow(),
                **alive,
            )
            # The process may write its row at the same moment, to tell of its services.
            self._tables.processes.bulk_create([new], ignore_conflicts=True)
            row.update(**alive)

    def retire(self, process: str) -> None:
        self._tables.processes.filter(id=process).update(alive_until=None, is_listening=False)

    def rescue(self) -> Rescue:
        process = self._tables.processes.filter(
            id=OuterRef("claimed_by"), alive_until__gt=DatabaseNow()
        )
        running = self._tables.jobs.filter(state=JobState.RUNNING)
        # In the order of the index of what runs, as in any other SQLite reads all jobs there are.
        lost = running.filter(~Exists(process)).order_by("claimed_by", "id")
        if not self._is_any(lost):  # as nearly always, and this locks nothing
            return Rescue()
        with self._tables.atomic():
            rows = list(self._tables.skipping_locked(lost)[:BATCH])
            buried = [row for row in rows if _deaths(row) >= MAX_DEATHS]
            spared = [row for row in rows if _deaths(row) < MAX_DEATHS]
            cancelled = [row for row in spared if row.cancel_requested]
            ends = [(row, _burial(row)) for row in buried]
            finish(self._tables, [*ends, *((row, cancellation(row)) for row in cancelled)])
            left = [row.id for row in spared if not row.cancel_requested]
            self._tables.jobs.filter(id__in=left).update(
                **{**after_attempt(), "state": JobState.READY, "deaths": _DEATHS}
            )
        return Rescue(tuple(left), _ids(buried), _ids(cancelled))

    def _is_any(self, lost: QuerySet[Job]) -> bool:
        """Whether there is any such job, of those whose process does not live."""
        return lost.exists()

    def begin(self, job_id: UUID, fence: int) -> bool:
        return bool(self._held(job_id, fence).update(begun_fence=F("fence")))

    def acquit(self, job_id: UUID, fence: int) -> None:
        self._held(job_id, fence).update(begun_fence=0)

    def note_progress(self, job_id: UUID, fence: int, progress: str) -> bool:
        return bool(self._held(job_id, fence).update(progress=progress))

    def _held(self, job_id: UUID, fence: int) -> QuerySet[Job]:
        return self._tables.jobs.filter(is_running(), id=job_id, fence=fence)

    # Results

    def prune(self, backend: str, retention: Mapping[TaskResultStatus, float | None]) -> int:
        return prune(self._tables, backend, retention)


_DEATHS = Case(
    When(deaths=0, then=Value(1)),
    When(begun_fence=F("fence"), then=F("deaths") + 1),
    default=F("deaths"),
    output_field=SmallIntegerField(),
)


def _ids(rows: Iterable[Job]) -> tuple[UUID, ...]:
    return tuple(row.id for row in rows)


def _deaths(row: Job) -> int:
    """How many deaths the job is counted for once this one is."""
    return row.deaths + (row.deaths == 0 or row.begun_fence == row.fence)


def _burial(row: Job) -> Settlement:
    words = (
        f"{MAX_DEATHS} processes that executed this job have ended before it did; the last was "
        f"{row.claimed_by}."
    )
    return burial(row.id, row.fence, WorkerLost, words)


def _let_go(jobs: QuerySet[Job], count: int) -> int:
    if count <= 0:
        return 0
    blocked = jobs.filter(state=JobState.BLOCKED).order_by("rank", "due_at", "id")
    ids = list(blocked.values_list("id", flat=True)[:count])
    return jobs.filter(id__in=ids, state=JobState.BLOCKED).update(state=JobState.READY)


def _by_rate(
    tables: Tables, limit: Limit, jobs: QuerySet[Job], free: int
) -> tuple[int, float | None]:
    """Let go as many as the rate allows: `count` at once, and then one for each of their shares.

    This is the generic cell rate algorithm (ITU-T I.371) with the moment at which the next job
    would come if all came evenly; it may lie ahead of now by the period less one share.
    """
    now = limit.now  # type: ignore[attr-defined]  # an annotation
    share = timedelta(seconds=(limit.period or 0) / (limit.count or 1))
    ahead = share * ((limit.count or 1) - 1)
    expected = max(limit.free_at or now, now)
    allowed = int((now + ahead - expected) / share) + 1 if expected <= now + ahead else 0
    admitted = _let_go(jobs, min(free, allowed))
    expected += share * admitted
    tables.limits.filter(key=limit.key).update(free_at=expected)
    if not jobs.filter(state=JobState.BLOCKED).exists() or admitted < allowed:
        return admitted, None
    return admitted, (expected - ahead - now).total_seconds()
