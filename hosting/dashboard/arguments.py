"""What a search by text may tell of the arguments of jobs."""

from __future__ import annotations

import json
from functools import cache

from hosting.models import Enqueued
from hosting.queues.declared import redacted
from hosting.queues.inspection import known_task
from hosting.queues.stores.codec import decode_dict, decode_list


class Teller:
    """Says of which jobs a search for a text may tell; looks for the task of each path once."""

    def __init__(self, text: str) -> None:
        self._wanted = text.casefold()
        self._task = cache(known_task)

    def may_show(self, row: Enqueued) -> bool:
        """Whether it may tell that it has found this job."""
        if self._wanted in row.task_path.casefold():
            return True
        try:
            args, kwargs = redacted(
                decode_list(row.args), decode_dict(row.kwargs), self._task(row.task_path)
            )
        except ValueError:
            return False
        return self._wanted in f"{json.dumps(args)} {json.dumps(kwargs)}".casefold()
