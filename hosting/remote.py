"""What people ask of the services of another process: stop, start, restart.

Whoever asks writes a row for that process, and the time until which it is to heed such rows. The
process learns of that time from the statement by which it renews its own row (see `hosting.fleet`),
and then looks every second. So where nobody asks, no statement is made; and as whoever looks at the
fleet asks for attention, what they ask is done within about a second. It is done on a thread of its
own, one thing after the other, as a stop may take its time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol

from django.apps import apps
from django.db import Error, models

from hosting.context import log_fields
from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.scope import Scope
from hosting.texts import encodable
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: Seconds between two looks at what is asked, while there is a reason to.
GLANCE = 1.0

#: For how long processes look once somebody has asked for attention.
ATTENTION = timedelta(seconds=30)

#: How many commands a process takes at once.
BATCH = 20

#: For how long commands are kept.
KEPT = timedelta(days=1)


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

    def heed(self, process: str) -> None:
        """Take what is asked of this process, and begin with it."""
        asked = _commands().filter(process=process, taken_at=None)
        if commands := list(asked.order_by("id")[:BATCH]):
            taken = [row.pk for row in commands]
            _commands().filter(pk__in=taken).update(taken_at=DatabaseNow())
            ServiceThread("hosting:remote", lambda: self._do(commands))

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
        _guarded(prune)

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
        return _storable("; ".join(map(str, errors)))


def ask(process: str, service: str, action: str, user: str) -> Any:
    """Ask this of a service of that process; the row, which tells what comes of it."""
    made = _commands().create(process=process, service=service, action=action, requested_by=user)
    _processes().filter(pk=process).update(heeds_until=ago(-ATTENTION))
    return made


def attend() -> None:
    """Have all processes look for a while what they are asked, as somebody is about to ask."""
    soon = models.Q(heeds_until=None) | models.Q(heeds_until__lt=ago(-ATTENTION / 2))
    if (rows := _processes().filter(soon)).exists():
        rows.update(heeds_until=ago(-ATTENTION))


def prune() -> None:
    """Delete what was asked long ago."""
    _commands().filter(requested_at__lt=ago(KEPT)).delete()


def _note(key: int, outcome: str) -> None:
    row = _commands().filter(pk=key)
    _guarded(lambda: row.update(done_at=DatabaseNow(), outcome=outcome))


def _storable(text: str) -> str:
    """The text with escapes for what a database refuses: zeros, and halves of surrogate pairs."""
    return encodable(text).replace("\0", "\\x00")


def _guarded(action: Callable[[], object]) -> None:
    try:
        with Scope():
            action()
    except Error as error:
        logger.warning(
            "What came of a command could not be written down: %s", error, extra=log_fields()
        )


# The models are looked up late: this module is imported while apps still load.


def _commands() -> models.Manager[Any]:
    return apps.get_model("hosting", "ServiceCommand")._default_manager


def _processes() -> models.Manager[Any]:
    return apps.get_model("hosting", "HostProcess")._default_manager
