"""Keeps what jobs and services log, so that it can be read in the admin.

A handler of `logging`, which a project puts into its LOGGING; nothing is kept without it. Records
that were made neither in a job nor in a service are not its matter. It must be cheap for whoever
logs, and harmless: a record is put into words and into a line in memory, and a thread of its own
writes what came in a moment together, on a connection of its own, in no transaction of a job. What
is kept is bounded: so many lines of an attempt, so many of a service, for so many days.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from hosting.ids import process_name
from hosting.observability.linewriter import Line, LineWriter
from hosting.observability.logs import fields_of
from hosting.texts import shortened

#: Characters of a line that are kept; the rest of a long traceback is not.
LONGEST = 8_000

#: Attempts whose lines are counted; of an older one that goes on, counting begins anew.
COUNTED = 10_000


class LogLineHandler(logging.Handler):
    """Keeps up to `per_attempt` lines of an attempt, and the last `per_service` of a service.

    All are gone after `days`. Raises ValueError for a number that is not allowed.
    """

    def __init__(
        self,
        level: int | str = logging.NOTSET,
        *,
        per_attempt: int = 200,
        per_service: int = 1_000,
        days: int = 7,
    ) -> None:
        super().__init__(level)
        _require("per_attempt", per_attempt, 10_000)
        _require("per_service", per_service, 10_000)
        _require("days", days, 365)
        self._per_attempt = per_attempt
        self._counts: OrderedDict[tuple[object, object], int] = OrderedDict()
        self._writer = LineWriter(per_service, days)

    def filter(self, record: logging.LogRecord) -> Any:
        # Before the handler's lock is taken, which `flush` holds while it waits for the writer.
        return False if self._writer.is_here else super().filter(record)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            found = fields_of(record)
            service, job, attempt = (found.get(name) for name in ("service", "job", "attempt"))
            if not service and not job:
                return
            text = self._words(record, job, attempt)
            if text is not None:
                self._writer.add(_line(record, str(service or ""), job, attempt, text))
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until what was logged is written, for two seconds at most."""
        self._writer.flush()

    def close(self) -> None:
        """Write no more."""
        self._writer.close()
        super().close()

    def _words(self, record: logging.LogRecord, job: object, attempt: object) -> str | None:
        """What the record says; None if there is no room for it."""
        if not job:
            return self.format(record)
        key = (job, attempt)
        count = self._counts[key] = self._counts.pop(key, 0) + 1
        if len(self._counts) > COUNTED:
            self._counts.popitem(last=False)
        if count > self._per_attempt + 1:
            return None
        if count > self._per_attempt:
            return f"… (an attempt may have {self._per_attempt} lines, and this one has more)"
        return self.format(record)


def _require(name: str, value: Any, most: int) -> None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not (is_number and 1 <= value <= most):
        raise ValueError(f"{name} is {value!r}, allowed: a whole number from 1 to {most:,}")


def _line(record: logging.LogRecord, service: str, job: object, attempt: object, text: str) -> Line:
    job_id = None
    with suppress(ValueError):
        job_id = UUID(str(job)) if job else None
    made_at = datetime.fromtimestamp(record.created, UTC if settings.USE_TZ else None)
    return Line(
        service=_storable(service)[:64],
        job_id=job_id,
        attempt=attempt if isinstance(attempt, int) else None,
        process=process_name(),
        made_at=made_at,
        level=min(max(record.levelno, 0), 32_767),
        logger=_storable(record.name)[:128],
        text=_storable(shortened(text, LONGEST)),
    )


def _storable(text: str) -> str:
    """The text without what a database refuses: zeros, and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
