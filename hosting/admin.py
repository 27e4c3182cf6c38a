"""What is in Django's admin, where a project has it: the dashboard, and schedules.

Schedules are added, changed, paused and run here; the other pages are in `hosting.dashboard`.

Those of the settings can be paused here and nothing else, as the next start of a scheduler would
undo it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from hosting.conf import load_settings
from hosting.conf.entries import name as judge_name
from hosting.dashboard.jobs import JobPage
from hosting.dashboard.page import links
from hosting.dashboard.processes import ProcessPage
from hosting.dashboard.queues import QueuePage
from hosting.exceptions import ConfigurationError, UnknownSchedule
from hosting.models import HostProcess, Job, PausedQueue, Schedule
from hosting.queues.declared import REDACTED
from hosting.queues.inspection import shown_arguments
from hosting.queues.schedules import pause_schedule, resume_schedule, run_schedule
from hosting.queues.scheduling.definition import complaints
from hosting.queues.scheduling.listing import ListedSchedule, listed
from hosting.queues.stores import store_for
from hosting.queues.stores.clock import DatabaseNow
from hosting.queues.stores.codec import decode_dict, decode_list
from hosting.queues.stores.scheduled import Definition
from hosting.queues.stores.schedules import last_run, record_of, with_last_run

T = TypeVar("T")
admin.site.register(HostProcess, ProcessPage)
admin.site.register(Job, JobPage)
admin.site.register(PausedQueue, QueuePage)

DEFINITION = tuple(field.name for field in fields(Definition))
#: What is shown in place of fields that may have sensitive arguments, to whom they are only shown.
SHOWN = {"args": "shown_args", "kwargs": "shown_kwargs"}
MOMENTS = ("when", "next_run", "last_run")


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # takes no parameter at run time
    """Says at each field what is wrong with it: the value, and what is allowed."""

    class Meta:
        model = Schedule
        fields = (*DEFINITION, "is_paused")
        help_texts = {
            "task_path": "The dotted path of a task, as app.tasks.name.",
            "cron": "Five fields, as 0 3 * * *. Either this or an interval.",
            "interval": "Seconds.",
            "time_zone": "Of the cron expression, as Europe/Berlin. Empty: that of the project.",
            "args": 'A JSON list, as [1, "two"].',
            "kwargs": 'A JSON object, as {"days": 30}.',
            "queue_name": "Empty: that of the task.",
            "priority": "-100 to 100. Empty: that of the task.",
            "missed": "What becomes of slots that are more than a minute late.",
            "is_paused": "What falls due while it is paused is not made up for.",
        }
        widgets = {name: forms.Textarea({"rows": 2}) for name in ("args", "kwargs")}

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        try:
            judge_name(name)
            declared = load_settings().schedule
        except (ValueError, ConfigurationError) as error:
            raise ValidationError(f"The name is {name!r}, {error}.") from None
        if name in declared:
            raise ValidationError(
                f"The name is {name!r}, which HOSTING['SCHEDULE'] has, allowed: another one."
            )
        return name

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if "task_path" in self.fields and not self.errors:  # else there is only the pause to change
            values = {name: self.cleaned_data.get(name) for name in DEFINITION}
            definition = Definition(**{**values, "name": values["name"] or self.instance.name})
            for complaint in complaints(definition, _database()):
                self.add_error(complaint.field, f"{complaint.words}.")
        return cleaned


@admin.register(Schedule)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # takes no parameter at run time
    form = ScheduleForm
    list_display = ("name", "task_path", *MOMENTS, "is_paused", "is_declared")
    list_filter = ("is_paused", "is_declared")
    search_fields = ("name", "task_path")
    ordering = ("name",)
    actions = ("pause", "resume", "run_now")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        pages = links(request, self.admin_site, Schedule)
        return super().changelist_view(request, {"pages": pages, **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        # What is read is written next, and a replica may be behind.
        return with_last_run(super().get_queryset(request).using(_database()))

    # Columns

    @admin.display(description="when")
    def when(self, row: Schedule) -> str:
        return _listed(row).when

    @admin.display(description="next run")
    def next_run(self, row: Schedule) -> str:
        return _listed(row).next_in_words()

    @admin.display(description="last run")
    def last_run(self, row: Schedule) -> str:
        found = _listed(row)
        if not (found.last_job and self.admin_site.is_registered(Job)):
            return found.last_in_words()
        url = reverse(
            "admin:hosting_job_change", args=[found.last_job], current_app=self.admin_site.name
        )
        return format_html('<a href="{}">{}</a>', url, found.last_in_words())

    @admin.display(description="positional arguments")
    def shown_args(self, row: Schedule) -> str:
        return _shown_arguments(row)[0]

    @admin.display(description="keyword arguments")
    def shown_kwargs(self, row: Schedule) -> str:
        return _shown_arguments(row)[1]

    # What may be changed

    def get_fields(self, request: HttpRequest, obj: Schedule | None = None) -> tuple[str, ...]:
        shown = (*DEFINITION, "is_paused")
        if obj is None:
            return shown
        if obj.is_declared or not self.has_change_permission(request, obj):
            shown = tuple(SHOWN.get(name, name) for name in shown)
        return (*shown, "is_declared", *MOMENTS)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Schedule | None = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        fixed = DEFINITION if obj.is_declared else ("name",)
        return (*fixed, *SHOWN.values(), "is_declared", *MOMENTS)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # A list that is narrowed down by them tells of arguments that nobody is to see.
        is_hidden = lookup.partition("__")[0] in SHOWN
        return not is_hidden and super().lookup_allowed(lookup, value, request)

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        is_declared = obj is not None and obj.is_declared
        return not is_declared and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Have what is new or changed count from now, by the clock of the database."""
        changed = set(form.changed_data)
        if not change or changed & set(DEFINITION):
            obj.since = obj.handled_until = DatabaseNow()
            changed |= {"since", "handled_until"}
        elif "is_paused" in changed and not obj.is_paused:
            obj.handled_until = DatabaseNow()
            changed.add("handled_until")
        # Nothing else: a scheduler may have moved the mark since the page was loaded.
        database = _database()
        what: dict[str, Any] = {"update_fields": changed} if change else {"force_insert": True}
        obj.save(using=database, **what)
        obj.refresh_from_db(using=database, fields=["since", "handled_until"])
        store_for(database).schedules.announce()

    # Actions

    @admin.action(description="Pause selected schedules", permissions=["change"])
    def pause(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        count = self._steer(request, rows, pause_schedule, "Paused")
        self.message_user(request, f"Paused: {count}.", messages.SUCCESS)

    @admin.action(description="Resume selected schedules", permissions=["change"])
    def resume(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        count = self._steer(request, rows, resume_schedule, "Resumed")
        self.message_user(request, f"Resumed: {count}.", messages.SUCCESS)

    @admin.action(description="Run selected schedules now", permissions=["change"])
    def run_now(self, request: HttpRequest, rows: QuerySet[Schedule]) -> None:
        done = self._tried(request, rows, run_schedule)
        for row in rows:
            if result := done.get(row.name):
                self.log_change(request, row, f"Run in the list, as job {result.id}.")
                self.message_user(request, f"{row.name}: job {result.id}.", messages.SUCCESS)

    def _tried(
        self, request: HttpRequest, rows: QuerySet[Schedule], action: Callable[[str, str], T]
    ) -> dict[str, T]:
        """What the action gives for each, by name; the page says of the others why not."""
        done = {}
        for row in rows:
            try:
                done[row.name] = action(row.name, _database())
            except (
                UnknownSchedule
            ) as error:  # it was deleted meanwhile, or TASKS lacks the database
                self.message_user(request, str(error), messages.ERROR)
            except (ValueError, TypeError) as error:
                self.message_user(request, f"{row.name} cannot run: {error}.", messages.ERROR)
        return done

    def _steer(
        self,
        request: HttpRequest,
        rows: QuerySet[Schedule],
        steer: Callable[[str, str], bool],
        past: str,
    ) -> int:
        """Pause or resume them; how many that has changed, of which the log tells."""
        done = self._tried(request, rows, steer)
        for row in rows:
            if done.get(row.name):
                self.log_change(request, row, f"{past} in the list.")
        return sum(done.values())


def _database() -> str:
    """Where schedules are changed, and so also read."""
    return router.db_for_write(Schedule)


def _shown_arguments(row: Schedule) -> tuple[str, str]:
    """The arguments without those that are sensitive."""
    try:
        args, kwargs = decode_list(row.args), decode_dict(row.kwargs)
    except ValueError:  # nobody knows which are
        return REDACTED, REDACTED
    shown_args, shown_kwargs = shown_arguments(row.task_path, args, kwargs)
    return json.dumps(shown_args), json.dumps(shown_kwargs)


def _listed(row: Schedule) -> ListedSchedule:
    return listed(record_of(row), last_run(row), _database())
