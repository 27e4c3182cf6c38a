"""What the stores that write SQL have in common."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from hosting.models import Job

TABLE = f'"{Job._meta.db_table}"'
COLUMNS = ", ".join(f'job."{field.column}"' for field in Job._meta.concrete_fields)


def ready(backend: str, queues: Collection[str] | None) -> tuple[str, list[Any]]:
    """The condition for the jobs of these queues that wait, with its parameters.

    The status is a literal, so that every planner sees that the partial index applies.
    """
    if queues is None:
        return "status = 'READY' AND backend = %s", [backend]
    marks = ", ".join(["%s"] * len(queues)) or "NULL"
    return f"status = 'READY' AND backend = %s AND queue_name IN ({marks})", [backend, *queues]


def claimed(worker_id: str, now: str) -> tuple[str, list[Any]]:
    """The assignments that claim a job, with their parameters."""
    assignments = f"""
        status = 'RUNNING', fence = fence + 1, claimed_by = %s,
        worker_ids = {appended("worker_ids", "%s")},
        started_at = COALESCE(started_at, {now}), last_attempted_at = {now}
    """
    item = json.dumps(worker_id)
    return assignments, [worker_id, item, item]


def appended(column: str, item: str) -> str:
    """The JSON list in the column with one more item, or a new list if the column holds none.

    Both are SQL; `item` is used twice. An empty list is too short for the pattern.
    """
    longer = f"substr({column}, 1, length({column}) - 1) || ', ' || {item} || ']'"
    return f"CASE WHEN {column} LIKE '[_%%]' THEN {longer} ELSE '[' || {item} || ']' END"
