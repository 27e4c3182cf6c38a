"""What people ask of the services of another process: stop, start, restart.

Whoever asks writes a row for that process. It looks for such rows with each beat of its own row in
the fleet (see `hosting.fleet`), and every second while somebody looks at the fleet, which a row of
no process says. It does what is asked on a thread of its own, one thing after the other, as a stop
may take its time, and writes down what came of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

from django.apps import apps
from django.db import Error, models

from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.scope import Scope
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: Seconds between two looks while somebody looks at the fleet.
GLANCE = 1.0

#: For how long somebody looks at the fleet who has said so.
WATCHED = timedelta(seconds=30)

#: How many commands a process takes at once.
BATCH = 20

#: For how long commands are kept.
KEPT = timedelta(days=1)

WATCH = "watch"


class Steered(Protocol):
    """What can stop and start services by name: a host."""

    def halt(self, name: str) -> list[Exception]:
        """Stop one; what went wrong."""

    def resume(self, name: str) -> None:
        """Start one anew."""


class Remote:
    """Does what is asked of the services of this process."""

    def __init__(self, host: Callable[[], Steered]) -> None:
        self._host = host

    def heed(self, process: str) -> bool:
        """Take what is asked of this process, and begin with it; whether somebody looks."""
        asked = models.Q(process=process, taken_at=None)
        looks = models.Q(process="", requested_at__gt=ago(WATCHED))
        rows = list(_commands().filter(asked | looks).order_by("id")[:BATCH])
        commands = [row for row in rows if row.process]
        if commands:
            taken = [row.pk for row in commands]
            _commands().filter(pk__in=taken).update(taken_at=DatabaseNow())
            ServiceThread("hosting:remote", lambda: self._do(commands))
        return len(commands) < len(rows)

    def _do(self, commands: Sequence[Any]) -> None:
        for command in commands:
            logger.info(
                "Service %r: %s, as %s has asked",
                command.service,
                command.action,
                command.requested_by or "somebody",
                extra={"service": command.service},
            )
            _note(command.pk, self._outcome(command.action, command.service))

    def _outcome(self, action: str, service: str) -> str:
        """Do it; what went wrong, or nothing."""
        errors: list[Exception] = []
        try:
            if action in ("stop", "restart"):
                errors += self._host().halt(service)
            if action in ("start", "restart"):
                self._host().resume(service)
        except Exception as error:
            errors.append(error)
        for each in errors:
            logger.error("Service %r: %s: %s", service, action, each, extra={"service": service})
        return "; ".join(map(str, errors))


def ask(process: str, service: str, action: str, user: str) -> Any:
    """Ask this of a service of that process; the row, which tells what comes of it."""
    return _commands().create(process=process, service=service, action=action, requested_by=user)


def watch() -> None:
    """Say that somebody looks at the fleet."""
    rows = _commands().filter(process="")
    if rows.filter(requested_at__gt=ago(WATCHED / 3)).exists():
        return
    if not rows.update(requested_at=DatabaseNow()):
        _commands().create(process="", action=WATCH)


def prune() -> None:
    """Delete what was asked long ago."""
    _commands().filter(requested_at__lt=ago(KEPT)).delete()


def _note(key: int, outcome: str) -> None:
    try:
        with Scope():
            _commands().filter(pk=key).update(done_at=DatabaseNow(), outcome=outcome)
    except Error as error:
        logger.warning("What came of a command could not be written down: %s", error)


def _commands() -> models.Manager[Any]:
    # The model is looked up late: this module is imported while apps still load.
    return apps.get_model("hosting", "ServiceCommand")._default_manager
