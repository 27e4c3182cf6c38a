"""Attempts that are settled on PostgreSQL by the last statement of a transaction, and its commit.

Both are sent together, which saves a round trip for every transaction of atomic jobs. Django
commits when its block is left, finds the transaction over, and goes on as always (autocommit, the
callbacks of `on_commit`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.errors import InvalidTextRepresentation

from hosting.queues.stores.latesavepoint import forget_late, has_cursors_of_django
from hosting.queues.stores.libpq import ask_and_commit, can_ask
from hosting.queues.stores.sqlstore import is_watched
from hosting.queues.stores.statements.parameters import as_text
from hosting.queues.stores.statements.postgresql import (
    REFUSED,
    SETTLE_OR_FAIL,
    numbered,
    settled,
)
from hosting.queues.stores.values import Settlement

_COMMITS = ("commit", "_commit")


def ends_here(connection: Any) -> bool:
    """Whether nobody else has a say in the commit of the transaction that goes on."""
    is_outermost = connection.in_atomic_block and not connection.savepoint_ids
    if not is_outermost or connection.needs_rollback or is_watched(connection):
        return False
    if not _commits_as_django(connection):
        return False
    driver = connection.connection
    return can_ask(driver) and has_cursors_of_django(driver)


def settle_and_commit(
    connection: Any, settlements: Sequence[Settlement]
) -> tuple[frozenset[UUID], float | None]:
    """Which were refused, without a commit then; and when they ended, in seconds since 1970."""
    driver = connection.connection
    texts = [as_text(each) for each in settled(settlements)]
    with connection.wrap_database_errors:
        forget_late(driver)
        try:
            result = ask_and_commit(driver, numbered(SETTLE_OR_FAIL), texts)
        except InvalidTextRepresentation as error:
            if not (refused := _refused_in(error)):
                raise
            connection.needs_rollback = True
            return refused, None
    return frozenset(), float(result.get_value(0, 0))


def _refused_in(error: InvalidTextRepresentation) -> frozenset[UUID]:
    if error.diag.context is not None:  # a trigger's at the commit
        return frozenset()
    _, _, ids = (error.diag.message_primary or "").partition(REFUSED)
    return frozenset(map(UUID, re.findall(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", ids)))


def _commits_as_django(connection: Any) -> bool:
    """Whether nobody has put a commit of their own in the place of Django's."""
    own, kind = vars(connection), type(connection)
    return all(
        name not in own and getattr(kind, name) is getattr(BaseDatabaseWrapper, name)
        for name in _COMMITS
    )
