"""What this thread or coroutine works on, for whoever describes it: a log filter, a trace.

One context variable holds a service or a job in hand. It is set where their code is called, which
costs a job a tenth of a microsecond; the fields are made when somebody asks for them.
Threads of `hosting` take it over from the thread that makes them, coroutines from their caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


class Work(Protocol):
    """What may be worked on."""

    def log_fields(self) -> Mapping[str, object]:
        """What records of log say of it: some of `service`, `job`, `task`, `attempt`, `worker`."""


@dataclass(frozen=True, slots=True)
class ServiceWork:
    """What a service does that is no job."""

    service: str

    def log_fields(self) -> Mapping[str, object]:
        return {"service": self.service}


#: What is worked on here; None outside services and jobs.
working_on: ContextVar[Work | None] = ContextVar("hosting.working_on", default=None)


def log_fields() -> Mapping[str, object]:
    """What records of log say of what is worked on here."""
    work = working_on.get()
    return work.log_fields() if work is not None else {}
