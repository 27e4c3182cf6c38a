"""Jobs with keys: those that are unique, and those that share a limit.

A key of a job that is there is a column of it with a partial unique index. A key that stays taken
for a time, also after the job has ended, is a row of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from django.db import IntegrityError

from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.queues.stores.rows import record_of
from hosting.queues.stores.tables import Tables
from hosting.queues.stores.values import JobRecord, NewJob

Insert = Callable[[Sequence[NewJob]], list[JobRecord]]


def add_unique(tables: Tables, job: NewJob, insert: Insert) -> JobRecord:
    """Add the job, unless its key is taken: then the record of the job that has it."""
    add = _add_only if job.unique_period is None else _add_reserved
    return add(tables, job, insert)


def _add_only(tables: Tables, job: NewJob, insert: Insert) -> JobRecord:
    while True:
        try:
            with tables.atomic():
                return insert([job])[0]
        except IntegrityError:
            holder = tables.jobs.filter(unique_key=job.unique_key).first()
            if holder is not None:
                return record_of(holder)
            if tables.jobs.filter(id=job.id).exists():  # it was the id that is taken
                raise


def _add_reserved(tables: Tables, job: NewJob, insert: Insert) -> JobRecord:
    rows = tables.reservations.filter(key=job.unique_key)
    until = ago(timedelta(seconds=-(job.unique_period or 0)))
    mine = {"job_id": job.id, "until": until}
    while not rows.filter(until__lte=DatabaseNow()).update(**mine):
        try:
            with tables.atomic():
                rows.create(key=job.unique_key or "", **mine)
            break
        except IntegrityError:
            holder = rows.values_list("job_id", flat=True).first()
            if holder is None:  # it was free, and is deleted
                continue
            if found := tables.get([holder]).get(holder):
                return found
            # Its result is not there any more; of many who see that, one takes the key.
            if rows.filter(job_id=holder).update(**mine):
                break
    return insert([job])[0]


def write_limits(tables: Tables, jobs: Sequence[NewJob]) -> None:
    """Write the rules of these jobs' limits, where they are new or have changed."""
    rules = {job.limit.key: job.limit for job in jobs if job.limit}
    if not rules:
        return
    rows = tables.limits
    known = {row.key: row for row in rows.filter(key__in=list(rules))}
    for key, rule in rules.items():
        values = {"running": rule.running, "count": rule.count, "period": rule.period}
        row = known.get(key)
        if row is None or any(getattr(row, name) != value for name, value in values.items()):
            with tables.atomic():  # which on SQLite takes the write lock before anything is read
                rows.update_or_create(key=key, defaults=values)
