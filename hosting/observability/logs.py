"""What a log record says of the service or job that was at work when it was made."""

from __future__ import annotations

import logging

from hosting.context import log_fields

#: The attributes that a record gets; "" where there is nothing to say.
FIELDS = ("service", "job", "task", "attempt", "worker")


class ContextFilter(logging.Filter):
    """Gives every record `service`, `job`, `task`, `attempt` and `worker`, for formatters.

    Also to those of a project's own loggers, and of libraries, that are made in a job or a tick.
    What a record has already is left as it is. It belongs on a handler, as a logger's filters see
    nothing of what its children log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        found = log_fields()
        for name in FIELDS:
            if not hasattr(record, name):
                setattr(record, name, found.get(name, ""))
        return True
