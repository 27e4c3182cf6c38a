"""Statements that go past psycopg's cursor, to libpq itself.

Making a cursor, adapting parameters and reading rows takes more of the interpreter's time than
PostgreSQL takes for a short statement. So the shortest ones, of which there are many, are sent by
psycopg's own low-level interface (`psycopg.pq`). What they raise is what a cursor would raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import generators
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus

_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


def can_ask(driver: Any) -> bool:
    """Whether a statement may be sent as it is, and psycopg need not begin a transaction first."""
    status = driver.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        is_open = bool(driver.autocommit)
    else:
        is_open = status == TransactionStatus.INTRANS
    return is_open and driver.pgconn.pipeline_status == PipelineStatus.OFF


def ask(driver: Any, statement: bytes, parameters: Sequence[bytes | None]) -> Any:
    """The answer to a statement with parameters `$1` and so on, as texts.

    It is waited for as psycopg waits, which leaves signals and other greenlets their turn.
    """
    with driver.lock:
        driver.pgconn.send_query_params(statement, parameters)
        [result] = driver.wait(generators.execute(driver.pgconn))
    return _checked(result)


def perform(driver: Any, statement: str) -> None:
    """Have a statement executed that has no parameters and no answer."""
    if can_ask(driver):
        _checked(driver.pgconn.exec_(statement.encode()))
    else:
        driver.execute(statement)  # begins the transaction, or says why it cannot go on


def _checked(result: Any) -> Any:
    if result.status not in _DONE:
        raise error_from_result(result)
    return result
