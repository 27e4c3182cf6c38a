"""The page of the fleet: which processes host what, and stop, start and restart of a service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from hosting import fleet, remote
from hosting.dashboard import lines
from hosting.dashboard.page import Page, logged_last
from hosting.models import HostProcess, ServiceAction, ServiceCommand
from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.services.health import Condition, trouble

#: Processes that are shown, those last started first.
MOST = 200

#: For how long the page tells what has become of a command.
TOLD = timedelta(minutes=5)

#: What can be done with a service in one of these states; with the others, all but a start.
_STARTS = {"stopped": ["start"], "failed": ["start"], "completed": ["start"]}


@dataclass(frozen=True, slots=True)
class Shown:
    """One service of one process."""

    status: Mapping[str, Any]
    since: datetime | None
    command: ServiceCommand | None  # what was asked of it last
    actions: list[str]

    @property
    def facts(self) -> str:
        """What it tells of itself."""
        return "\n".join(f"{name}: {json.dumps(value)}" for name, value in self._facts.items())

    @property
    def trouble(self) -> str:
        """What is the matter with a service that runs."""
        condition = self.status.get("condition") or Condition.HEALTHY
        return trouble(str(condition), str(self.status.get("reason", "")))

    @property
    def token(self) -> Any:
        """That of its lease, if it has one."""
        return self._facts.get("lease_token", "")

    @property
    def _facts(self) -> Mapping[str, Any]:
        facts = self.status.get("facts")
        return facts if isinstance(facts, dict) else {}


class ProcessPage(Page):
    """Processes that host services."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("", wrap(self.changelist_view), name="hosting_hostprocess_changelist"),
            path("act/", wrap(self.act_view), name="hosting_hostprocess_act"),
            path("log/", wrap(self.log_view), name="hosting_hostprocess_log"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The fleet."""
        self.require(self.has_view_or_change_permission(request))
        may_change = self.has_change_permission(request)
        if may_change:
            remote.attend()  # so that what is asked is done soon
        rows = HostProcess._default_manager.annotate(now=DatabaseNow())
        processes = list(rows.order_by("-started_at", "id")[:MOST])
        commands = _commands([row.pk for row in processes])
        context = {
            "processes": [_process(row, commands, may_change) for row in processes],
            "most": MOST,
            "act": self.address("act"),
            "here": request.get_full_path(),
            "log": logged_last(HostProcess),
            "lines": self.address("log") if lines.may_view(request) else "",
        }
        return self.render(request, "fleet.html", "Fleet", context)

    def log_view(self, request: HttpRequest) -> HttpResponse:
        """What a service has logged."""
        self.require(self.has_view_or_change_permission(request) and lines.may_view(request))
        name = request.GET.get("service", "").replace("\0", "")
        before, level = request.GET.get("before", ""), request.GET.get("level", "")
        is_number = before.isdecimal() and len(before) < 19
        context = {
            "service": name,
            "lines": lines.of_service(name, level, int(before) if is_number else None),
            "is_newest": not is_number,
            "levels": list(lines.LEVELS),
            "level": level if level in lines.LEVELS else "",
            "fleet": self.address("changelist"),
        }
        return self.render(request, "service_log.html", f"Log of {name}", context)

    def act_view(self, request: HttpRequest) -> HttpResponse:
        """Ask something of a service."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        action, name = request.POST.get("action", ""), request.POST.get("service", "")
        self.require(self.has_change_permission(request) and action in ServiceAction.values)
        key = request.POST.get("process", "").replace("\0", "")
        process = HostProcess._default_manager.filter(pk=key).first()
        if process is None or name not in _steerable(process):
            self.tell(request, f"There is no service {name!r} in {key!r} any more.", is_good=False)
            return self.back(request)
        remote.ask(process.pk, name, action, request.user.get_username()[:150])
        label = ServiceAction(action).label
        self.note(request, [process], f"{label} of {name} asked for in the dashboard.")
        self.tell(request, f"{label} of {name} is asked for: {process} does it in a moment.")
        return self.back(request)


def _commands(processes: list[str]) -> dict[tuple[str, str], ServiceCommand]:
    """What was lately asked of each service, the last of each."""
    recent = ServiceCommand._default_manager.filter(process__in=processes)
    found = recent.filter(requested_at__gt=ago(TOLD)).order_by("-id")[: 5 * MOST]
    return {(each.process, each.service): each for each in reversed(found)}


def _process(
    row: Any, commands: Mapping[tuple[str, str], ServiceCommand], may_change: bool
) -> dict[str, Any]:
    is_alive = row.now - row.seen_at < fleet.STALE_AFTER
    return {
        "row": row,
        "is_alive": is_alive,
        "services": [
            _service(status, commands.get((row.pk, name)), may_change and is_alive)
            for status in fleet.told_in(row.services)
            for name in [str(status.get("name", ""))]
        ],
    }


def _service(status: Mapping[str, Any], command: ServiceCommand | None, may_act: bool) -> Shown:
    name = str(status.get("name", ""))
    actions = _STARTS.get(str(status.get("state")), ["restart", "stop"])
    is_steered = may_act and ":" not in name
    return Shown(status, _moment(status.get("since")), command, actions if is_steered else [])


def _moment(text: Any) -> datetime | None:
    try:
        found = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None
    is_fit = found is not None and timezone.is_aware(found) == settings.USE_TZ
    return found if is_fit else None


def _steerable(process: HostProcess) -> set[str]:
    """The services that are the project's; names with a colon are the host's own."""
    names = {str(status.get("name", "")) for status in fleet.told_in(process.services)}
    return {name for name in names if name and ":" not in name}
