"""What people are told of a schedule: when it is due, in words, and how far away a moment is."""

from __future__ import annotations

from datetime import datetime

from cronsim import CronSim
from django.utils import timezone

from hosting.queues.stores.scheduled import Definition

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def when(definition: Definition) -> str:
    """As "every 5 min" or "at 03:00 every day (Europe/Berlin)"; also of one that cannot be."""
    if definition.interval is not None:
        return f"every {_span(definition.interval)}"
    zone = definition.time_zone or timezone.get_default_timezone_name()
    return f"{_cron(definition.cron)} ({zone})"


def moment(value: datetime, now: datetime) -> str:
    """As "2026-05-01 12:00:00 CEST, in 12 min", in Django's current time zone."""
    return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S %Z}, {relative(value, now)}"


def relative(value: datetime, now: datetime) -> str:
    """As "in 12 min", "3 h ago" or "now", in whole units."""
    seconds = int((value - now).total_seconds())
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            count = f"{abs(seconds) // size} {unit}"
            return f"in {count}" if seconds > 0 else f"{count} ago"
    return "now"


def _cron(expression: str) -> str:
    try:
        text = CronSim(expression, timezone.now()).explain()
    except Exception:  # it cannot be, and what is wrong with it is said elsewhere
        return f"cron {expression}"
    return text[:1].lower() + text[1:]


def _span(seconds: object) -> str:
    """As "1 h 30 min", exactly."""
    if not isinstance(seconds, (int, float)) or seconds < 1 or seconds % 1:
        return f"{seconds} s"
    parts, left = [], int(seconds)
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts)
