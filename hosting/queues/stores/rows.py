"""Rows of `Job` as records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hosting.compat import TaskResultStatus
from hosting.models import Job
from hosting.queues.stores.base import JobRecord
from hosting.queues.stores.codec import (
    decode_dict,
    decode_errors,
    decode_list,
    decode_optional,
    decode_strings,
)

_DECODERS: dict[str, tuple[Callable[[str], Any], Callable[[], Any]]] = {
    "args": (decode_list, list),
    "kwargs": (decode_dict, dict),
    "return_value": (decode_optional, lambda: None),
    "errors": (decode_errors, tuple),
    "worker_ids": (decode_strings, tuple),
    "status": (TaskResultStatus, lambda: TaskResultStatus.FAILED),
}
_PLAIN = (
    "id",
    "backend",
    "queue_name",
    "priority",
    "task_path",
    "run_after",
    "due_at",
    "enqueued_at",
    "started_at",
    "last_attempted_at",
    "finished_at",
    "claimed_by",
    "fence",
)


def to_record(row: Job) -> JobRecord:
    """The record of a row; raises nothing for a damaged one, but says so in `damage`."""
    decoded: dict[str, Any] = {}
    damages: list[str] = []
    for column, (decode, empty) in _DECODERS.items():
        try:
            decoded[column] = decode(getattr(row, column))
        except ValueError as error:
            decoded[column] = empty()
            damages.append(f"{column}: {error}")
    plain = {column: getattr(row, column) for column in _PLAIN}
    return JobRecord(**plain, **decoded, damage="; ".join(damages) or None)
