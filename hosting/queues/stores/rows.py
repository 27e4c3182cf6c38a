"""Rows of `Job` and `JobResult` as records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hosting.compat import TaskResultStatus
from hosting.models import Job, JobState
from hosting.queues.stores.codec import (
    decode_dict,
    decode_errors,
    decode_list,
    decode_optional,
    decode_strings,
)
from hosting.queues.stores.values import Claim, JobRecord

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
    "task_path",
    "options",
    "run_after",
    "enqueued_at",
    "started_at",
    "finished_at",
    "fence",
    "progress",
)
_STATUS = {state.value: TaskResultStatus.READY for state in JobState} | {
    JobState.RUNNING.value: TaskResultStatus.RUNNING
}


def to_record(values: Mapping[str, Any]) -> JobRecord:
    """The record of a row; raises nothing for a damaged one, but says so in `damage`."""
    values = {"finished_at": None, "return_value": "", **values}
    decoded: dict[str, Any] = {}
    damages: list[str] = []
    if values.get("state") or "status" not in values:
        values["status"] = _STATUS.get(values["state"], values["state"])
    for column, (decode, empty) in _DECODERS.items():
        try:
            decoded[column] = decode(values[column])
        except ValueError as error:
            decoded[column] = empty()
            damages.append(f"{column}: {error}")
    if values.get("state") == JobState.RUNNING:  # the attempt is counted when it ends
        decoded["worker_ids"] = (*decoded["worker_ids"], values["claimed_by"])
        values["started_at"] = values["started_at"] or values["claimed_at"]
    return JobRecord(
        **{column: values[column] for column in _PLAIN},
        **decoded,
        priority=-values["rank"],
        last_attempted_at=values["claimed_at"],
        damage="; ".join(damages) or None,
    )


def record_of(row: Job) -> JobRecord:
    """The record of a model's instance."""
    return to_record({field.attname: getattr(row, field.attname) for field in row._meta.fields})


def claim_of(row: Job, is_expired: bool) -> Claim:
    """The claim of a row that has just been claimed."""
    return Claim(
        row.id,
        row.fence,
        row.queue_name,
        (row.rank, row.due_at, row.id),
        (
            row.task_path,
            row.args,
            row.kwargs,
            row.options,
            row.limit_key,
            row.failures,
            row.deaths,
        ),
        is_expired,
        row,
        record_of,
    )
