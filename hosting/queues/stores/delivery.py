"""Which jobs may be delivered to a worker that rests, and how; and what it is sent of them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from hosting.queues.stores.new import first_values
from hosting.queues.stores.values import NewJob

#: The most characters of a job's arguments and options, which are ASCII, that are sent. Each may be
#: written as two, in JSON, and a notification takes 8,000 bytes: the rest is for paths and names.
LARGEST = 2_000


def delivery_of(job: NewJob) -> list[Any] | None:
    """The parameters of `DELIVER`; None if the job is not due at once, unlimited, and short."""
    if job.unique_key or job.run_after is not None or job.expires_in is not None:
        return None
    if job.is_held or job.limit or len(job.args) + len(job.kwargs) + len(job.options) > LARGEST:
        return None
    place = (job.backend, job.queue_name)
    first = first_values(job)[:-1]  # without the key of its limit
    return [*place, *place, *first, job.batch_id, job.backend]


def delivered(text: str) -> tuple[Any, ...]:
    """The columns of the claim that was sent as this text; raises ValueError if it is none."""
    row = json.loads(text)
    if not isinstance(row, list) or not row:
        raise ValueError(f"{text[:40]!r} is no list")
    return UUID(row[0]), *row[1:]
