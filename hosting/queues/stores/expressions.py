"""What changes in a job's row, as expressions for the ORM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Case, F, Q, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Concat, Length, Substr
from django.db.models.lookups import Exact

from hosting.models import JobState


def appended(column: str, item: Combinable) -> Combinable:
    """The JSON list in the column with one more item, or a new list if the column holds none."""
    shorter = Substr(column, 1, Length(column) - 1)
    longer = Concat(shorter, Value(", "), item, Value("]"), output_field=TextField())
    is_list = Q(**{f"{column}__startswith": "[", f"{column}__endswith": "]"})
    return Case(
        When(is_list & ~Q(**{column: "[]"}), then=longer),
        default=Concat(Value("["), item, Value("]"), output_field=TextField()),
        output_field=TextField(),
    )


def is_running() -> Exact:
    """That a job runs, of one that is found by its id.

    It is said so that the index of what runs is not used: databases believe that hardly anything
    runs, and would read all of it, with the entries of all that ran before.
    """
    return Exact(Concat(F("state"), Value("")), Value(JobState.RUNNING))


def after_attempt() -> Mapping[str, Any]:
    """What an attempt leaves that was begun: nobody holds the job, and the attempt is counted."""
    quoted = Concat(Value('"'), F("claimed_by"), Value('"'), output_field=TextField())
    return {
        "worker_ids": appended("worker_ids", quoted),
        "started_at": Coalesce("started_at", "claimed_at"),
        "claimed_by": "",
    }


def when_due() -> Case:
    """The state of a job whose time has come: ready, unless it has to pass a limit first."""
    is_limited = When(~Q(limit_key=""), then=Value(JobState.BLOCKED))
    return Case(is_limited, default=Value(JobState.READY))
