"""Moments and spans as the dashboard shows them."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hosting.queues.scheduling.words import relative

register = template.Library()


@register.filter
def moment(value: datetime | None) -> str | SafeString:
    """How long ago it was, or is to be, with the moment itself to be looked at."""
    if value is None:
        return ""
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S %Z}".strip(),
        relative(value, timezone.now()),
    )


@register.filter
def exact(value: datetime | None) -> str:
    """The moment itself, to the millisecond."""
    if value is None:
        return ""
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03} {local:%Z}".strip()


@register.filter
def span(seconds: float | None) -> str:
    """As "12 ms", "3.4 s" or "5 min 3 s"."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


@register.filter
def clock(value: datetime) -> str:
    """The time of the day."""
    return f"{timezone.localtime(value):%H:%M}"
