"""Which jobs may be delivered to a worker that rests, and what it is sent of them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hosting.models import JobState
from hosting.queues.stores.new import initial_state
from hosting.queues.stores.values import NewJob

#: The most characters of a job's own that are sent: a notification takes 8,000 bytes, and each may
#: be written as two, in JSON.
LARGEST = 3_000


def may_deliver(job: NewJob) -> bool:
    """Whether the job is due at once, unlimited, and short enough to be sent."""
    if job.unique_key or job.run_after is not None or job.expires_in is not None:
        return False
    texts = (job.backend, job.queue_name, job.task_path, job.args, job.kwargs, job.options)
    length = sum(len(text.encode()) for text in texts)
    return initial_state(job) == JobState.READY.value and length <= LARGEST


def delivered(text: str) -> tuple[Any, ...]:
    """The columns of the claim that was sent as this text; raises ValueError if it is none."""
    row = json.loads(text)
    if not isinstance(row, list) or not row:
        raise ValueError(f"{text[:40]!r} is no list")
    return UUID(row[0]), *row[1:]
