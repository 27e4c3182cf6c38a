"""What changes in a job's row, as expressions for the ORM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Case, F, Q, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Concat, Length, Substr


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


def after_attempt() -> Mapping[str, Any]:
    """What an attempt leaves that was begun: nobody holds the job, and the attempt is counted."""
    quoted = Concat(Value('"'), F("claimed_by"), Value('"'), output_field=TextField())
    return {
        "worker_ids": appended("worker_ids", quoted),
        "started_at": Coalesce("started_at", "claimed_at"),
        "claimed_by": "",
    }
