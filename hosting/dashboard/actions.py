"""What is done with jobs from the dashboard."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from hosting.models import Enqueued, Job
from hosting.queues.stores.orm import GenericStore
from hosting.queues.wakeup import wake_all

#: How many jobs one action takes at most.
MOST = 500


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done with jobs."""

    name: str
    label: str
    past: str
    where: str  # to which jobs it applies
    permission: str = "change"
    question: str = ""  # asked before, if there is one


ACTIONS: Mapping[str, Action] = {
    action.name: action
    for action in (
        Action("retry", "Retry", "Retried", "jobs that have failed"),
        Action("hasten", "Run now", "Due now", "jobs that wait for their time"),
        Action(
            "cancel",
            "Cancel",
            "Cancelled",
            "jobs that have not ended",
            question="Cancel? What runs is asked to end.",
        ),
        Action(
            "discard",
            "Discard",
            "Discarded",
            "jobs that do not run",
            permission="delete",
            question="Discard? The jobs and their results are forgotten.",
        ),
    )
}


def act(store: GenericStore, action: Action, ids: Collection[UUID]) -> list[Enqueued]:
    """Do it with those of these jobs to which it applies; gives them, with their paths."""
    paths = _paths(store, ids)
    changed: set[UUID] = getattr(store.control, action.name)(list(ids))
    if changed and action.name in ("retry", "hasten"):
        wake_all(store)
    return [Job(id=each, task_path=paths.get(each, "")) for each in sorted(changed)]


def _paths(store: GenericStore, ids: Collection[UUID]) -> dict[UUID, str]:
    # Before it is done, as afterwards there may be no row.
    rows = [table.filter(id__in=list(ids)) for table in (store.jobs, store.results)]
    return {pair[0]: pair[1] for found in rows for pair in found.values_list("id", "task_path")}
