"""Keeps one job's database troubles from the next: what a task may leave behind on its thread."""

from __future__ import annotations

import logging
from typing import Any

from django.db import connections

from hosting.context import log_fields
from hosting.scope import connections_are_in_order

logger = logging.getLogger(__name__)


def restore_connections() -> None:
    """Undo what a task left: an open atomic block, autocommit switched off, a dead connection.

    Without that, the outcome of the job and of all later ones on this thread would be written into
    a transaction that nobody commits.
    """
    if connections_are_in_order():
        return
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            logger.warning(
                "A task left a transaction open on %r; it is rolled back",
                connection.alias,
                extra=log_fields(),
            )
            connection.close()
            del connections[connection.alias]
        elif connection.connection is not None and _is_spoilt(connection):
            connection.close()


def _is_spoilt(connection: Any) -> bool:
    if connection.get_autocommit() != connection.settings_dict["AUTOCOMMIT"]:
        return True
    return bool(connection.errors_occurred) and not connection.is_usable()
