"""The page, and the part of it that changes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from hosting import QueueFull, background_tasks, fleet
from messages_app.forms import AddTaskForm
from messages_app.models import AddedTask, Message
from messages_app.panels import panels
from messages_app.tasks import add_task

SHOWN_MESSAGES = 200
SHOWN_UNFINISHED_TASKS = 20
SHOWN_FINISHED_TASKS = 3


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """The page; POST adds a task and redirects, or shows what is wrong with the form."""
    form = AddTaskForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid() and _added(form):
        return redirect("index")
    context = {"form": form, "memory_is_available": background_tasks.has_consumer}
    return render(request, "messages_app/index.html", context | live())


@never_cache
@require_safe
def state(request: HttpRequest) -> HttpResponse:
    """The parts of the page that change, for its script."""
    return render(request, "messages_app/state.html", live())


def live() -> dict[str, Any]:
    """What the changing parts show."""
    messages, were_cut = Message.objects.latest_lines(SHOWN_MESSAGES)
    unfinished = list(AddedTask.objects.unfinished()[: SHOWN_UNFINISHED_TASKS + 1])
    # A task that ends between the two queries is in both.
    finished = AddedTask.objects.finished().exclude(pk__in=[task.pk for task in unfinished])
    return {
        "panels": panels(fleet.services()),
        "tasks": [*unfinished[:SHOWN_UNFINISHED_TASKS], *finished[:SHOWN_FINISHED_TASKS]],
        "more_tasks": len(unfinished) > SHOWN_UNFINISHED_TASKS,
        "shown_tasks": SHOWN_UNFINISHED_TASKS,
        "messages": messages,
        "messages_were_cut": were_cut,
        "shown_messages": SHOWN_MESSAGES,
    }


def _added(form: AddTaskForm) -> bool:
    try:
        add_task(**form.cleaned_data)
    except QueueFull as error:
        form.add_error("queue", f"The memory queue is full, so the task was not added: {error}")
        return False
    return True
