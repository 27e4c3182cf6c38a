"""The pages of jobs: the list, one job, and what is done with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path

from hosting.dashboard import lines
from hosting.dashboard.actions import ACTIONS, MOST, Action, act
from hosting.dashboard.counts import by_state
from hosting.dashboard.detail import detail_of, possible, state_of
from hosting.dashboard.filters import AGES, SIZES, STATES, Filter, parse_id
from hosting.dashboard.page import Page, logged
from hosting.dashboard.places import among_others, chosen_store, find_row, known_stores
from hosting.dashboard.search import WINDOW, find
from hosting.models import Enqueued, Job
from hosting.queues.scheduling.declared import database_backends
from hosting.queues.stores.orm import GenericStore


class JobPage(Page):
    """Jobs that wait, run, or have ended."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="hosting_job_changelist"),
            path("act/", wrap(self.act_view), name="hosting_job_act"),
            path("<uuid:job_id>/change/", wrap(self.job_view), name="hosting_job_change"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list."""
        self.require(self.has_view_or_change_permission(request))
        wanted = Filter.of(request.GET)
        if (job_id := parse_id(wanted.text)) and find_row(job_id):
            return redirect(self.address("change", job_id))
        store = chosen_store(request.GET)
        found, counts = find(store, wanted), by_state(store)
        context = {
            "wanted": wanted,
            "rows": [_Line(row, self.address("change", row.id)) for row in found.rows],
            "found": found,
            "clear": Filter(state=wanted.state, database=wanted.database).address(),
            "older": wanted.address(before=found.next) if found.next else "",
            "newest": wanted.address() if wanted.before else "",
            "window": f"{WINDOW:,}",
            "states": [
                (name, counts[state], wanted.address(state=state), state == wanted.state, state)
                for state, name in STATES.items()
            ],
            "ages": [(age, name) for age, (_, name) in AGES.items()],
            "sizes": SIZES,
            "backends": [backend.alias for backend in database_backends()],
            "databases": list(known_stores()),
            "database": store.alias,
            "queues": _queue_names(store),
            "actions": self._allowed(request, ACTIONS),
            "act": self.address("act"),
            "here": request.get_full_path(),
            "is_filtered": bool(wanted.condition() or wanted.age),
        }
        return self.render(request, "jobs.html", "Jobs", context)

    def job_view(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """One job."""
        self.require(self.has_view_or_change_permission(request))
        if (found := find_row(job_id)) is None:
            raise Http404(f"There is no job {job_id}: it was pruned, discarded, or never was.")
        store, row = found
        context = {
            "job": detail_of(row),
            "database": store.alias,
            "of_database": among_others(store),
            "actions": self._allowed(request, possible(row)),
            "act": self.address("act"),
            "here": request.get_full_path(),
            "list": self.address("changelist"),
            "log": logged(Job, job_id),
            "lines": lines.of_job(job_id) if lines.may_view(request) else None,
        }
        return self.render(request, "job.html", row.task_path, context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Do something with the jobs that are ticked."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        action = ACTIONS.get(request.POST.get("action", ""))
        self.require(action is not None and bool(self._allowed(request, [action.name])))
        assert action is not None
        ids = [job_id for text in request.POST.getlist("job") if (job_id := parse_id(text))]
        if not ids or len(ids) > MOST:
            words = f"{len(ids)} jobs are chosen, allowed: 1 to {MOST}."
            self.tell(request, words, is_good=False)
            return self.back(request)
        changed = act(chosen_store(request.POST), action, ids)
        self.note(request, changed, f"{action.past} in the dashboard.")
        self._tell_outcome(request, action, len(changed), len(ids))
        return self.back(request)

    def _tell_outcome(self, request: HttpRequest, action: Action, done: int, asked: int) -> None:
        words = f"{action.past}: {done}."
        if done < asked:
            words += f" {asked - done} left as they are: {action.label} is for {action.where}."
        self.tell(request, words, is_good=done == asked)

    def _allowed(self, request: HttpRequest, names: Iterable[str]) -> list[Action]:
        """Those of these actions that this user may do."""
        may = {
            "change": self.has_change_permission(request),
            "delete": self.has_delete_permission(request),
        }
        return [ACTIONS[name] for name in names if may[ACTIONS[name].permission]]


class _Line:
    """A job in the list."""

    def __init__(self, row: Enqueued, url: str) -> None:
        self.row = row
        self.url = url
        self.state = state_of(row)
        self.finished_at = getattr(row, "finished_at", None)
        self.due_at = getattr(row, "due_at", None)
        self.is_asked_to_end = getattr(row, "cancel_requested", False)

    @property
    def short_id(self) -> str:
        """Its end, which differs also between jobs that were made at the same moment."""
        return str(self.row.id)[-8:]

    @property
    def module(self) -> str:
        return self.row.task_path.rpartition(".")[0]

    @property
    def function(self) -> str:
        return self.row.task_path.rpartition(".")[2]

    @property
    def seconds(self) -> float | None:
        """How long the last attempt took."""
        if not (self.finished_at and self.row.claimed_at):
            return None
        return float((self.finished_at - self.row.claimed_at).total_seconds())


def _queue_names(store: GenericStore) -> list[str]:
    """Names of queues to choose from: those that are declared, and those with jobs to claim."""
    backends = [each for each in database_backends() if each.settings.database == store.alias]
    found = {name for backend in backends for name in backend.queues}
    return sorted(found.union(*(store.queue_names(backend.alias) for backend in backends)))
