"""How a job leaves the table of jobs for the table of results, through the ORM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from hosting.models import Enqueued, Job, JobResult
from hosting.queues.stores.clock import DatabaseNow
from hosting.queues.stores.codec import encode_error, with_item
from hosting.queues.stores.duties import JobCancelled, burial
from hosting.queues.stores.tables import Tables
from hosting.queues.stores.values import Failed, Retry, Settlement, Succeeded


def finish(tables: Tables, ended: Sequence[tuple[Job, Settlement]]) -> datetime | None:
    """Move these rows, which are locked, to the results; returns the moment."""
    if not ended:
        return None
    tables.results.bulk_create([_result(row, settlement) for row, settlement in ended])
    ids = [row.id for row, _ in ended]
    tables.jobs.filter(id__in=ids).delete()
    return tables.results.values_list("finished_at", flat=True).get(id=ids[0])


def cancellation(row: Job, *, begun: bool = True) -> Settlement:
    """The end of a job that was cancelled; its attempt is counted if one has begun."""
    if not begun:
        row.claimed_by = ""
    when = "while" if begun else "before"
    return burial(row.id, row.fence, JobCancelled, f"It was cancelled {when} it ran.")


def instead_of(retry: Settlement, row: Job) -> Settlement:
    """The end of a cancelled job that was to run again; the error of its attempt is kept."""
    if isinstance(retry.result, Retry) and retry.result.error is not None:
        row.errors = with_item(row.errors, encode_error(retry.result.error))
    return cancellation(row)._replace(progress=retry.progress)


def _result(row: Job, settlement: Settlement) -> JobResult:
    result = settlement.result
    kept = {field.attname: getattr(row, field.attname) for field in Enqueued._meta.fields}
    if row.claimed_by:
        kept["worker_ids"] = with_item(row.worker_ids, json.dumps(row.claimed_by))
        kept["started_at"] = row.started_at or row.claimed_at
    if isinstance(result, Failed):
        kept["errors"] = with_item(row.errors, encode_error(result.error))
    kept["progress"] = settlement.progress or row.progress
    return JobResult(
        **kept,
        status=settlement.status,
        return_value=result.return_value if isinstance(result, Succeeded) else "",
        finished_at=DatabaseNow(),
    )
