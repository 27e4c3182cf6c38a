"""What a log record says of the service or job that was at work when it was made."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from hosting.context import log_fields

#: The attributes that a record gets; "" where there is nothing to say.
FIELDS = ("service", "job", "task", "attempt", "worker")

#: The attribute in which a record takes along where it was made, to handlers on other threads.
_FOUND = "_hosting"


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """What a record is about: where it was made, and what `hosting` says of its own records.

    What others put into `extra` under these names is about something of theirs.
    """
    found: Mapping[str, object] = record.__dict__.get(_FOUND) or log_fields()
    if record.name.partition(".")[0] != "hosting":
        return found
    told = {name: value for name in FIELDS if (value := getattr(record, name, ""))}
    return {**found, **told}


class ContextFilter(logging.Filter):
    """Gives every record `service`, `job`, `task`, `attempt` and `worker`, for formatters.

    Also to those of a project's own loggers, and of libraries, that are made in a job or a tick.
    What a record has already is left as it is. It belongs on a handler, as a logger's filters see
    nothing of what its children log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        found = log_fields()
        record.__dict__.setdefault(_FOUND, found)
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, found.get(name, ""))
        return True
