"""How many jobs there are in each state, counted up to a bound, along the indexes of the states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from hosting.compat import TaskResultStatus
from hosting.dashboard.filters import FAILED, STATES, SUCCESSFUL
from hosting.models import JobResult, JobState
from hosting.queues.stores.indexed import in_state
from hosting.queues.stores.tables import Tables

#: What is counted to.
CAP = 1_000


@dataclass(frozen=True, slots=True)
class Count:
    """A number up to a bound."""

    number: int
    cap: int = CAP

    def __str__(self) -> str:
        return f"{self.cap:,}+" if self.is_capped else f"{self.number:,}"

    @property
    def is_capped(self) -> bool:
        return self.number > self.cap


def failures(tables: Tables) -> QuerySet[JobResult]:
    """The jobs that have failed, the newest first, along their index."""
    return tables.results.filter(status=TaskResultStatus.FAILED).order_by("-id")


def count(rows: QuerySet[Any, Any], cap: int = CAP) -> Count:
    """How many of these rows there are, up to the bound."""
    return Count(rows[: cap + 1].count(), cap)


def by_state(tables: Tables) -> dict[str, Count | None]:
    """How many jobs there are in each state of the list; None where nobody counts."""
    found: dict[str, Count | None] = dict.fromkeys(STATES)
    for state in JobState:
        found[state.value] = count(in_state(tables, state))
    found[FAILED] = count(failures(tables))
    found[SUCCESSFUL] = None
    return found
