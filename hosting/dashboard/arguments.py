"""The arguments of jobs as they may be shown: the one place where pages get them from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hosting.compat import Task
from hosting.models import Enqueued
from hosting.queues.resolution import UnknownTask, resolve
from hosting.queues.stores.codec import decode_dict, decode_list

#: What stands in the place of a value that is not shown.
REDACTED = "********"


def redacted(
    args: Sequence[Any], kwargs: Mapping[str, Any], task: Task[..., Any] | None
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments without what the task declares `sensitive`; of an unknown task, none."""
    if task is None or getattr(task, "sensitive", None):
        return [REDACTED] * len(args), dict.fromkeys(kwargs, REDACTED)
    return list(args), dict(kwargs)


def shown_arguments(
    task_path: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a job of this task as a page may show them."""
    try:
        task: Task[..., Any] | None = resolve(task_path)
    except UnknownTask:
        task = None
    return redacted(args, kwargs, task)


def may_show(row: Enqueued, text: str) -> bool:
    """Whether a search for this text may tell that it has found this job."""
    wanted = text.casefold()
    if wanted in row.task_path.casefold():
        return True
    try:
        args, kwargs = shown_arguments(
            row.task_path, decode_list(row.args), decode_dict(row.kwargs)
        )
    except ValueError:
        return False
    return wanted in f"{json.dumps(args)} {json.dumps(kwargs)}".casefold()
