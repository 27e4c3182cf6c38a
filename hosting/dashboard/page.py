"""What the pages of the dashboard have in common.

Each is a `ModelAdmin` whose list is a page of its own, so that the admin's index, its permissions
and its log are those of Django. A page that asks for itself again, to stay up to date, gets the
same without the frame of the admin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from hosting.models import HostProcess, Job, PausedQueue, Schedule
from hosting.texts import encodable

#: The header with which a page asks for itself again.
LIVE = "X-Hosting-Live"

#: Entries of the log that a page shows.
LOGGED = 20

PAGES: tuple[tuple[str, type[models.Model]], ...] = (
    ("Fleet", HostProcess),
    ("Jobs", Job),
    ("Queues", PausedQueue),
    ("Schedules", Schedule),
)


class _Answer(TemplateResponse):
    """A page that can be sent whatever is on it.

    Arguments and errors may have halves of surrogate pairs, as names of files have.
    """

    @property
    def rendered_content(self) -> str:
        return encodable(super().rendered_content)


class Page(admin.ModelAdmin):  # type: ignore[type-arg]  # takes no parameter at run time
    """A page in place of the list of a model's rows."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def require(self, is_allowed: bool) -> None:
        """Answer 403 to who may not do this."""
        if not is_allowed:
            raise PermissionDenied

    def render(
        self, request: HttpRequest, template: str, title: str, context: Mapping[str, Any]
    ) -> HttpResponse:
        """The page, or what changes in it."""
        request.current_app = self.admin_site.name
        is_live = LIVE in request.headers
        frame = {} if is_live else self.admin_site.each_context(request)
        base = "admin/hosting/part.html" if is_live else "admin/hosting/base.html"
        whole = {
            **frame,
            "base": base,
            "title": title,
            "opts": self.opts,
            "pages": links(request, self.admin_site, self.model),
            **context,
        }
        response = _Answer(request, f"admin/hosting/{template}", whole)
        response.headers["Vary"] = LIVE
        return response

    def address(self, name: str, *args: Any) -> str:
        """The path of a view of this page."""
        view = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(view, args=args, current_app=self.admin_site.name)

    def jobs_address(self) -> str:
        """The path of the list of jobs; "" if this admin has none."""
        if not self.admin_site.is_registered(Job):
            return ""
        return reverse("admin:hosting_job_changelist", current_app=self.admin_site.name)

    def back(self, request: HttpRequest) -> HttpResponse:
        """Lead to where the form was, if that is on this site."""
        target = request.POST.get("back", "")
        if not url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
            target = self.address("changelist")
        return HttpResponseRedirect(target)

    def note(self, request: HttpRequest, objects: Iterable[models.Model], words: str) -> None:
        """Write into the admin's log who has done this."""
        if found := list(objects):
            assert request.user.pk is not None
            LogEntry.objects.log_actions(request.user.pk, found, CHANGE, words)

    def tell(self, request: HttpRequest, words: str, *, is_good: bool = True) -> None:
        """Say it on the next page."""
        self.message_user(request, words, messages.SUCCESS if is_good else messages.WARNING)


def links(
    request: HttpRequest, site: admin.AdminSite, current: type[models.Model]
) -> list[dict[str, Any]]:
    """The pages that this user may see."""
    return [
        {
            "name": name,
            "url": reverse(
                f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist",
                current_app=site.name,
            ),
            "is_current": model is current,
        }
        for name, model in PAGES
        if site.is_registered(model)
        and site.get_model_admin(model).has_view_or_change_permission(request)
    ]


def logged(model: type[models.Model], key: object) -> list[LogEntry]:
    """What people have done with this object, the latest first."""
    return list(_entries(model).filter(object_id=str(key))[:LOGGED])


def logged_last(model: type[models.Model]) -> list[LogEntry]:
    """What people have done last with any object of this kind, the latest first."""
    return list(_entries(model)[:LOGGED])


def _entries(model: type[models.Model]) -> models.QuerySet[LogEntry]:
    kind = ContentType.objects.get_for_model(model)
    return LogEntry.objects.filter(content_type=kind).select_related("user").order_by("-pk")
