"""Whether anybody listens to a signal: where nobody does, no `TaskResult` need be made for it.

Django's own receivers, which write a line of log for each job, listen only if their logger is on.
"""

from __future__ import annotations

import logging
import weakref
from typing import Any

from hosting.compat import task_logger

#: Where Django's own receivers live, and the backport's.
_OWN = ("django.tasks.signals", "django_tasks.signals")


def has_listeners(signal: Any, level: int = logging.INFO) -> bool:
    """Whether anybody hears the signal: a receiver, or Django's logger at this level."""
    found = [_resolved(receiver[1]) for receiver in signal.receivers]
    if any(each is not None and each.__module__ not in _OWN for each in found):
        return True
    return bool(found) and task_logger.isEnabledFor(level)


def _resolved(reference: Any) -> Any:
    """The receiver itself, which signals mostly hold by a weak reference."""
    return reference() if isinstance(reference, weakref.ReferenceType) else reference
