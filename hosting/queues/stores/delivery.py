"""Which jobs may be delivered to a worker that rests, and what it is sent of them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hosting.queues.stores.values import NewJob

#: The most characters of a job's arguments and options, which are ASCII, that are sent. Each may be
#: written as two, in JSON, and a notification takes 8,000 bytes: the rest is for paths and names.
LARGEST = 2_000


def may_deliver(job: NewJob) -> bool:
    """Whether the job is due at once, unlimited, and short enough to be sent."""
    if job.unique_key or job.run_after is not None or job.expires_in is not None:
        return False
    if job.is_held or job.limit:
        return False
    return len(job.args) + len(job.kwargs) + len(job.options) <= LARGEST


def delivered(text: str) -> tuple[Any, ...]:
    """The columns of the claim that was sent as this text; raises ValueError if it is none."""
    row = json.loads(text)
    if not isinstance(row, list) or not row:
        raise ValueError(f"{text[:40]!r} is no list")
    return UUID(row[0]), *row[1:]
