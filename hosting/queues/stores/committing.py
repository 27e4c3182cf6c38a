"""Attempts that are settled on PostgreSQL by the last statement of a transaction, and its commit.

Both are sent as one text, which saves a round trip for every transaction of atomic jobs. Django
commits when its block is left, and finds the transaction over. Whatever it does then (callbacks of
`on_commit`, autocommit) it does as always.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import ClientCursor
from psycopg.errors import InvalidTextRepresentation

from hosting.queues.stores.latesavepoint import send_late
from hosting.queues.stores.libpq import ask_several, can_ask
from hosting.queues.stores.sqlstore import is_watched
from hosting.queues.stores.statements.postgresql import REFUSED, SETTLE_AND_COMMIT, settled
from hosting.queues.stores.values import Settlement


def ends_here(connection: Any) -> bool:
    """Whether nobody else has a say in the commit of the transaction that goes on."""
    is_outermost = connection.in_atomic_block and not connection.savepoint_ids
    if not is_outermost or connection.needs_rollback or is_watched(connection):
        return False
    return can_ask(connection.connection)


def settle_and_commit(
    connection: Any, settlements: Sequence[Settlement]
) -> tuple[frozenset[UUID], float | None]:
    """Which were refused, without a commit then; and when they ended, in seconds since 1970."""
    driver = connection.connection
    text = ClientCursor(driver).mogrify(SETTLE_AND_COMMIT, settled(settlements))
    with connection.wrap_database_errors:
        send_late(driver)
        try:
            result = ask_several(driver, text)
        except InvalidTextRepresentation as error:
            if refused := _refused_in(error.diag.message_primary or ""):
                return refused, None
            raise
    return frozenset(), float(result.get_value(0, 0))


def _refused_in(words: str) -> frozenset[UUID]:
    _, _, ids = words.partition(REFUSED)
    return frozenset(map(UUID, re.findall(r"[0-9a-f-]{36}", ids)))
