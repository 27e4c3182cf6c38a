"""What a job takes along from whoever enqueued it to whoever executes it, such as a trace.

Observers add it when they are asked (`jobs_enqueuing`). It stands in the job's `options`, an object
of JSON, beside what `using` has changed: nothing is written where nobody adds anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hosting.compat import Task
from hosting.queues.stores.codec import decode_dict
from hosting.signals import jobs_enqueuing

Carried = Mapping[str, str]

NOTHING: Carried = {}

_KEY = "carried"

#: What every text with something carried begins with.
_BEGINNING = f'{{"{_KEY}":'


def carried_by(backend_class: type, task: Task[..., Any]) -> Carried:
    """What observers have jobs of this task take along that are enqueued now."""
    if not jobs_enqueuing.receivers:
        return NOTHING
    carried: dict[str, str] = {}
    jobs_enqueuing.send_robust(backend_class, task=task, carried=carried)
    return carried


def pack(carried: Carried, overrides: str) -> str:
    """The options of a job that takes this along and has these overrides, "" for none."""
    if not carried:
        return overrides
    values = decode_dict(overrides) if overrides else {}
    return json.dumps({_KEY: dict(carried), **values}, separators=(",", ":"))


def carried_in(options: str) -> Carried:
    """What a job with these options takes along; nothing if they are damaged."""
    return _unpack(options)[0]


def overrides_in(options: str) -> str:
    """The overrides in these options, "" for none; what is damaged is given as it is."""
    return _unpack(options)[1]


def _unpack(options: str) -> tuple[Carried, str]:
    if not options.startswith(_BEGINNING):
        return NOTHING, options
    try:
        values = decode_dict(options)
    except ValueError:
        return NOTHING, options
    carried = values.pop(_KEY)
    if not isinstance(carried, dict) or not all(isinstance(each, str) for each in carried.values()):
        return NOTHING, options
    return carried, json.dumps(values, separators=(",", ":")) if values else ""
