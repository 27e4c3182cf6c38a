"""What a search by text may tell of the arguments of jobs."""

from __future__ import annotations

import json

from hosting.models import Enqueued
from hosting.queues.inspection import shown_arguments
from hosting.queues.stores.codec import decode_dict, decode_list


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
