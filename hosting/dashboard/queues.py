"""The page of queues: how deep they are, what has gone through, pause and resume."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path

from hosting.dashboard.charts import charts
from hosting.dashboard.depths import MOST, depths
from hosting.dashboard.page import Page, logged_last
from hosting.dashboard.places import among_others, chosen_store, known_stores
from hosting.dashboard.traffic import BUDGET, SPANS, traffic
from hosting.models import PausedQueue
from hosting.queues.calls import pause_queue, resume_queue
from hosting.queues.options import LONGEST_NAME
from hosting.queues.scheduling.declared import database_backends

ACTIONS = {"pause": (pause_queue, "Paused"), "resume": (resume_queue, "Resumed")}


class QueuePage(Page):
    """Queues; who may see and change jobs may do so with them."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request) or request.user.has_perm("hosting.view_job")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("hosting.change_job")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="hosting_pausedqueue_changelist"),
            path("act/", wrap(self.act_view), name="hosting_pausedqueue_act"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The queues of one database."""
        self.require(self.has_view_permission(request))
        store = chosen_store(request.GET)
        backends = [each for each in database_backends() if each.settings.database == store.alias]
        context = {
            "depths": depths(store, backends),
            "spans": [(span, charts(traffic(store, span), span)) for span in SPANS],
            "databases": list(known_stores()),
            "database": store.alias,
            "of_database": among_others(store),
            "has_backends": len(backends) > 1,
            "may_change": self.has_change_permission(request),
            "act": self.address("act"),
            "jobs": self.jobs_address(),
            "here": request.get_full_path(),
            "most": MOST,
            "budget": f"{BUDGET:,}",
            "log": logged_last(PausedQueue),
        }
        return self.render(request, "queues.html", "Queues", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Pause or resume one."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        action, backend = request.POST.get("action", ""), request.POST.get("backend", "")
        name = request.POST.get("queue", "")
        aliases = [each.alias for each in database_backends()]
        is_known = action in ACTIONS and backend in aliases and 0 < len(name) <= LONGEST_NAME
        self.require(self.has_change_permission(request) and is_known and "\0" not in name)
        do, past = ACTIONS[action]
        if do(name, backend):
            row = PausedQueue(pk=f"{backend}:{name}", backend=backend, name=name)
            self.note(request, [row], f"{past} in the dashboard.")
            self.tell(request, f"{past}: {name}.")
        else:
            self.tell(request, f"{name} was {past.lower()} already.", is_good=False)
        return self.back(request)
