"""Statements that go past psycopg's cursor, to libpq itself.

Making a cursor, adapting parameters and reading rows takes more of the interpreter's time than
PostgreSQL takes for a short statement. So the shortest ones, of which there are many, are sent by
psycopg's own low-level interface (`psycopg.pq`). What they raise is what a cursor would raise.

Half of what PostgreSQL does for such a statement is reading and planning it, which it need do only
once for each connection. Only who has set `prepare_threshold` in the OPTIONS of DATABASES has said
that a connection stays with one session of the server, which Django does not take for granted; then
a statement is prepared after as many executions as psycopg would prepare it. Outside a transaction
only: psycopg forgets all that is prepared when one is rolled back, others may do so without its
notice (DISCARD ALL when a pool takes a connection back), and a migration may change what a prepared
statement gives or takes. That is noticed by an error, after which the statement is sent once more,
as it is: it was alone, so it has changed nothing. In a transaction the error would be its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from psycopg import Cursor, generators
from psycopg.abc import PQGen
from psycopg.errors import (
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    error_from_result,
)
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus

Parameters = Sequence[bytes | None]
Meanwhile = Callable[[], object]

_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)

#: What a prepared statement may raise that the same one would not as it is: it is not there, or its
#: name is taken; the types of its rows or of its parameters have changed.
_STALE = (ProgrammingError, NotSupportedError)


@dataclass(slots=True)
class _Session:
    """What one connection has executed."""

    times: dict[bytes, int] = field(default_factory=dict)
    names: dict[bytes, bytes] = field(default_factory=dict)  # of what is prepared


_numbers = count()
_sessions: WeakKeyDictionary[Any, _Session] = WeakKeyDictionary()

#: Connections whose cursors prepare nothing any more, as psycopg goes on with a name that is stale.
_plain: WeakSet[Any] = WeakSet()


def can_ask(driver: Any) -> bool:
    """Whether a statement may be sent as it is, and psycopg need not begin a transaction first."""
    status = _status(driver)
    if status == TransactionStatus.IDLE:
        return bool(driver.autocommit)
    return status == TransactionStatus.INTRANS


def begin_plainly(driver: Any, name: str) -> bool:
    """Begin a transaction and a savepoint in it, if psycopg would begin one with no options.

    It would send each by itself.
    """
    if _status(driver) != TransactionStatus.IDLE or driver.autocommit:
        return False
    if not (driver.isolation_level is driver.read_only is driver.deferrable is None):
        return False
    with driver.lock:
        perform_locked(driver, f"BEGIN;SAVEPOINT {name}")
    return True


def has_failed(driver: Any) -> bool:
    """Whether a statement has failed after which the transaction can only be rolled back."""
    return bool(driver.pgconn.transaction_status == TransactionStatus.INERROR)


def ask(driver: Any, statement: bytes, parameters: Parameters, meanwhile: Meanwhile) -> Any:
    """The answer to a statement with parameters `$1` and so on, as texts.

    `meanwhile` is called, perhaps more than once, while the database works. The answer is waited
    for as psycopg waits, which leaves signals and other greenlets their turn.
    """
    with driver.lock:
        if _may_prepare(driver):
            return _ask_prepared(driver, statement, parameters, meanwhile)
        return _ask_plainly(driver, statement, parameters, meanwhile)


def fetch(driver: Any, statement: str, parameters: Sequence[Any]) -> list[Any]:
    """The rows of a statement, by a cursor, prepared where `ask` would prepare it."""
    if driver.prepare_threshold is None:
        with driver.cursor() as cursor:
            return list(cursor.execute(statement, parameters).fetchall())
    # Without autocommit a cursor begins a transaction first.
    if driver.autocommit and _may_prepare(driver) and driver not in _plain:
        # Not Django's cursor, which puts the parameters into the text.
        with Cursor(driver) as cursor:
            try:
                cursor.execute(statement, parameters)
            except _STALE:
                _plain.add(driver)
            else:
                return list(cursor.fetchall())
    with driver.cursor() as cursor:
        return list(cursor.execute(statement, parameters, prepare=False).fetchall())


def _may_prepare(driver: Any) -> bool:
    """Whether this was asked for, and an error would be the end of nothing else."""
    return _status(driver) == TransactionStatus.IDLE and driver.prepare_threshold is not None


def _status(driver: Any) -> TransactionStatus | None:
    """The state of the transaction; None in a pipeline, where answers are yet to come."""
    status: TransactionStatus = driver.pgconn.transaction_status
    return status if driver.pgconn.pipeline_status == PipelineStatus.OFF else None


def _ask_plainly(
    driver: Any, statement: bytes, parameters: Parameters, meanwhile: Meanwhile
) -> Any:
    driver.pgconn.send_query_params(statement, parameters)
    return answer(driver, meanwhile)


def _ask_prepared(
    driver: Any, statement: bytes, parameters: Parameters, meanwhile: Meanwhile
) -> Any:
    session = _sessions.get(driver)
    if session is None:
        session = _sessions[driver] = _Session()
    times = session.times[statement] = session.times.get(statement, 0) + 1
    if times <= driver.prepare_threshold:
        return _ask_plainly(driver, statement, parameters, meanwhile)
    try:
        name = session.names.get(statement)
        if name is None:
            name = b"hosting_%d" % next(_numbers)
            driver.pgconn.send_prepare(name, statement)
            answer(driver)
            session.names[statement] = name
        driver.pgconn.send_query_prepared(name, parameters)
        return answer(driver, meanwhile)
    except _STALE:
        del _sessions[driver]
        return _ask_plainly(driver, statement, parameters, meanwhile)


def perform(driver: Any, statement: str) -> None:
    """Have a statement executed that has no parameters and no answer."""
    if can_ask(driver):
        with driver.lock:
            perform_locked(driver, statement)
    else:
        driver.execute(statement)  # begins the transaction, or says why it cannot go on


def perform_locked(driver: Any, statement: str) -> None:
    """The same for who may ask, and holds the lock of the connection."""
    driver.pgconn.send_query(statement.encode())
    answer(driver)


def answer(driver: Any, meanwhile: Meanwhile | None = None) -> Any:
    """The answer to what was sent; raises what a cursor would raise."""
    try:
        if meanwhile is not None:
            meanwhile()
    finally:  # whatever it raises, what was asked is answered
        results = driver.wait(generators.execute(driver.pgconn))
    for result in results:
        _require_done(result)
    return results[-1]


def ask_and_commit(driver: Any, statement: bytes, parameters: Parameters) -> Any:
    """The answer to the last statement of a transaction, which is committed unless it has failed.

    Both are sent before either is answered. Not as one text, with the parameters in it, which the
    server writes to its log when a statement fails.
    """
    with driver.lock:
        pgconn = driver.pgconn
        pgconn.enter_pipeline_mode()
        try:
            pgconn.send_query_params(statement, parameters)
            pgconn.send_query_params(b"COMMIT", [])
            pgconn.pipeline_sync()
            results = driver.wait(_answers(pgconn))
        finally:
            with suppress(OperationalError):  # what is wrong then was raised before
                pgconn.exit_pipeline_mode()
    for result in results:
        _require_done(result)
    return results[0]


def _answers(pgconn: Any) -> PQGen[list[Any]]:
    """The answers to two statements, of which each has one, and to what ends the pipeline."""
    results: list[Any] = yield from generators.execute(pgconn)
    for _ in range(2):
        results += yield from generators.fetch_many(pgconn)
    return results[:2]


def _require_done(result: Any) -> None:
    if result.status not in _DONE:
        raise error_from_result(result)
