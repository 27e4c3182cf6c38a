"""The template filter `age`, as Django's `timesince` counts no seconds."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone

register = template.Library()

UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


@register.filter
def age(moment: datetime) -> str:
    """How long ago the moment was, in its largest unit: "4 s", "3 min", "2 h", "5 d"."""
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
