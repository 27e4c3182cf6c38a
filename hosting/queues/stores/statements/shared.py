"""What the stores that write SQL have in common."""

from __future__ import annotations

from hosting.models import HostProcess, Job, JobResult, PausedQueue

JOB = f'"{Job._meta.db_table}"'
RESULT = f'"{JobResult._meta.db_table}"'
PAUSED = f'"{PausedQueue._meta.db_table}"'
PROCESS = f'"{HostProcess._meta.db_table}"'

#: The columns that a job takes along when it moves to the results, as they are.
KEPT = (
    "id, backend, queue_name, rank, task_path, args, kwargs, options, limit_key, unique_key, "
    "unique_until_claimed, enqueued_at, run_after, claimed_at, fence"
)


def appended(column: str, item: str) -> str:
    """The JSON list in the column with one more item, or a new list if the column holds none.

    Both are SQL; `item` is used twice. An empty list is too short for the pattern.
    """
    longer = f"substr({column}, 1, length({column}) - 1) || ', ' || {item} || ']'"
    return f"CASE WHEN {column} LIKE '[_%%]' THEN {longer} ELSE '[' || {item} || ']' END"


def counted(prefix: str = "") -> str:
    """The list of the attempts' workers with the one that holds the job."""
    return appended(f"{prefix}worker_ids", f"'\"' || {prefix}claimed_by || '\"'")


#: The columns of a new job; what is left out begins empty.
COLUMNS = """
    id, backend, queue_name, rank, task_path, args, kwargs, options, limit_key, run_after,
    enqueued_at, due_at, expires_at, state, unique_key, unique_until_claimed, batch_id,
    errors, worker_ids, fence, progress, claimed_by, failures, deaths, begun_fence, cancel_requested
"""

#: What a claim gives, and the names of its columns there.
CLAIMED_NAMES = (
    *("id", "fence", "queue_name", "rank", "due_at", "task_path", "args", "kwargs", "options"),
    *("limit_key", "failures", "deaths", "is_expired", "backend", "run_after", "enqueued_at"),
    *("started_at", "claimed_at", "errors", "worker_ids", "claimed_by", "progress"),
)

# From one name to the next through the index, however many jobs each queue has.
QUEUE_NAMES = f"""
    WITH RECURSIVE found (name) AS (
        SELECT min(queue_name) FROM {JOB} WHERE state = 'ready' AND backend = %s
        UNION ALL
        SELECT (SELECT min(queue_name) FROM {JOB}
            WHERE state = 'ready' AND backend = %s AND queue_name > found.name)
        FROM found WHERE found.name IS NOT NULL
    )
    SELECT name FROM found WHERE name IS NOT NULL
"""

# Said for the indexes: what is blocked has a limit, and what is held a batch.
HELD_UP = f"""
        EXISTS (SELECT 1 FROM {JOB}
            WHERE NOT (limit_key = '') AND state = 'blocked' AND backend = %s)
        OR EXISTS (SELECT 1 FROM {JOB}
            WHERE batch_id IS NOT NULL AND state = 'held' AND backend = %s)
"""
