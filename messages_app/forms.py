"""The form that adds a task."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import Truncator

from hosting import background_tasks
from messages_app.models import Queue

NO_CONSUMER = (
    "The memory queue is not available: it lives inside one process, and this web process hosts no "
    "QueuedHostedService that would execute the task. Choose the database queue, or let the web "
    "process host services (HOSTING_AUTOSTART=1)."
)


class ExplainingField(forms.Field):
    """Says in one sentence which value was found and what is allowed.

    A field that the request does not have gets its default; one that was emptied is an error.
    """

    def __init__(self, *, allowed: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.allowed = allowed

    def clean(self, value: Any) -> Any:
        try:
            return super().clean(self.initial if value is None else value)
        except ValidationError:
            raise ValidationError(self.explain(str(value)), code="invalid") from None

    def explain(self, value: str) -> str:
        found = f"“{Truncator(value).chars(40)}” is not allowed" if value.strip() else "Missing"
        return f"{found}: give {self.allowed}."


class QueueField(ExplainingField, forms.ChoiceField):
    pass


class WholeNumberField(ExplainingField, forms.IntegerField):
    pass


class NumberField(ExplainingField, forms.FloatField):
    pass


class AddTaskForm(forms.Form):
    """Which queue, how many steps, and how many seconds each takes."""

    queue = QueueField(
        choices=Queue.choices, initial=Queue.DATABASE.value, allowed="“database” or “memory”"
    )
    steps = WholeNumberField(
        initial=3, min_value=1, max_value=20, allowed="a whole number from 1 to 20"
    )
    delay = NumberField(
        initial=5,
        min_value=0,
        max_value=60,
        label="Delay in seconds",
        allowed="a number of seconds from 0 to 60",
    )

    def clean_queue(self) -> str:
        queue: str = self.cleaned_data["queue"]
        if queue == Queue.MEMORY and not background_tasks.has_consumer:
            raise ValidationError(NO_CONSUMER, code="no_consumer")
        return queue
