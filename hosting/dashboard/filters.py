"""What a user asks of the list of jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Q
from django.http import QueryDict

from hosting.ids import uuid7_at
from hosting.models import JobState

SUCCESSFUL, FAILED = "successful", "failed"

#: State in the address -> its name on the page.
STATES: Mapping[str, str] = {
    "": "All",
    **{state.value: state.value.capitalize() for state in JobState},
    FAILED: "Failed",
    SUCCESSFUL: "Successful",
}

#: Age in the address -> seconds, and its name.
AGES: Mapping[str, tuple[float, str]] = {
    "5m": (300, "5 minutes"),
    "1h": (3_600, "hour"),
    "1d": (86_400, "day"),
    "7d": (604_800, "7 days"),
}

SIZES = (50, 200)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs, and from which on; "" is any."""

    state: str = ""
    queue: str = ""
    task: str = ""
    backend: str = ""
    age: str = ""
    text: str = ""
    before: UUID | None = None
    size: int = SIZES[0]
    database: str = ""
    problems: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, query: QueryDict) -> Filter:
        """What the address says; what it may not say is told in `problems`."""
        problems: list[str] = []

        def one_of(name: str, allowed: Mapping[str, object]) -> str:
            value = query.get(name, "")
            if value and value not in allowed:
                listed = ", ".join(repr(each) for each in allowed if each)
                problems.append(f"{name} is {value!r}, allowed: {listed}.")
                return ""
            return value

        size = one_of("size", {str(each): None for each in SIZES})
        before = query.get("before", "")
        if before and parse_id(before) is None:
            problems.append(f"before is {before!r}, allowed: the id of a job.")
        return cls(
            state=one_of("state", STATES),
            queue=_text(query, "queue"),
            task=_text(query, "task"),
            backend=_text(query, "backend"),
            age=one_of("age", AGES),
            text=_text(query, "q"),
            before=parse_id(before),
            size=int(size) if size else SIZES[0],
            database=_text(query, "database"),
            problems=tuple(problems),
        )

    @property
    def since(self) -> UUID | None:
        """The id from which on jobs are young enough."""
        return uuid7_at(time.time() - AGES[self.age][0]) if self.age else None

    def condition(self) -> Q | None:
        """What rows have to fulfil beside state and age; None: nothing."""
        exact = {"queue_name": self.queue, "task_path": self.task, "backend": self.backend}
        found = Q(**{column: value for column, value in exact.items() if value})
        if self.text:
            found &= (
                Q(task_path__icontains=self.text)
                | Q(args__icontains=self.text)
                | Q(kwargs__icontains=self.text)
            )
        return found or None

    def address(self, **changes: object) -> str:
        """The query of the same list with other values; from the newest on, unless said."""
        values: dict[str, object] = {
            "state": self.state,
            "queue": self.queue,
            "task": self.task,
            "backend": self.backend,
            "age": self.age,
            "q": self.text,
            "size": self.size if self.size != SIZES[0] else "",
            "database": self.database,
            "before": "",
            **changes,
        }
        return "?" + urlencode({name: value for name, value in values.items() if value})


def parse_id(text: str) -> UUID | None:
    """The id in a text, with or without hyphens."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def _text(query: QueryDict, name: str) -> str:
    # PostgreSQL takes no NUL, and a column no longer text.
    return query.get(name, "").strip().replace("\0", "")[:512]
