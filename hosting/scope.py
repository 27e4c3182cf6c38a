"""The span of one unit of work, with database connections of its own.

A web request opens and closes its connections through `request_started` and `request_finished`.
Work outside a request has no such frame, which is how threads end up with connections that the
server closed hours ago. A scope is that frame: before and after the work, connections that are
unusable or too old are closed on every alias, and the query log is emptied.

For coroutines, `async with scope()` also gives the unit its own database thread (asgiref's
`ThreadSensitiveContext`, as Django gives each asynchronous request), and closes the connections on
that thread.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")

_REFRESH = "close_if_unusable_or_obsolete"
_DJANGOS = BaseDatabaseWrapper.close_if_unusable_or_obsolete


class Scope:
    """One unit of work; what is entered or registered here is left at its end, latest first."""

    def __init__(self) -> None:
        self._resources = ExitStack()
        self._thread = ThreadSensitiveContext()

    def enter(self, resource: AbstractContextManager[T]) -> T:
        """Enter a context manager that is left at the end of the unit; gives what that gives."""
        return self._resources.enter_context(resource)

    def callback(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Call the function at the end of the unit, whether it succeeded or failed."""
        self._resources.callback(function, *args, **kwargs)

    def __enter__(self) -> Scope:
        refresh_connections()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._resources.__exit__(exc_type, exc, traceback)
        finally:
            refresh_connections()

    async def __aenter__(self) -> Scope:
        await self._thread.__aenter__()  # type: ignore[no-untyped-call]  # asgiref's
        if self._is_nested():
            await sync_to_async(refresh_connections)()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._resources.__exit__(exc_type, exc, traceback)
        finally:
            await sync_to_async(refresh_connections if self._is_nested() else close_connections)()
            await self._thread.__aexit__(  # type: ignore[no-untyped-call]  # asgiref's
                exc_type, exc, traceback
            )

    def _is_nested(self) -> bool:
        """Whether a scope around this one has given the database thread; else it is a new one."""
        return getattr(self._thread, "token", None) is None


def scope() -> Scope:
    """Open a scope around one unit of work: `with scope():` or `async with scope():`."""
    return Scope()


def in_scope(unit: Callable[..., Any], *, hand_over: bool = False) -> Callable[..., Any]:
    """The same unit of work, plain or coroutine, in a scope, which it may get as first argument."""

    def plain(*args: Any) -> Any:
        if not hand_over:
            return call_in_scope(unit, *args)
        with Scope() as scope:
            result = unit(scope, *args)
        return _in_scope_if_coroutine(result)

    async def coroutine(*args: Any) -> Any:
        async with Scope() as scope:
            return await (unit(scope, *args) if hand_over else unit(*args))

    return coroutine if inspect.iscoroutinefunction(unit) else plain


def call_in_scope(unit: Callable[..., Any], *args: Any) -> Any:
    """Call the unit of work, plain or coroutine, in a scope, without making a `Scope` of it.

    A coroutine is given back to be awaited, as by the unit itself, and opens its scope then.
    """
    refresh_connections()
    try:
        result = unit(*args)
    finally:
        refresh_connections()
    return _in_scope_if_coroutine(result)


def _in_scope_if_coroutine(result: Any) -> Any:
    # A plain callable may turn out to give a coroutine, as a lambda around one does.
    return _finish(result) if inspect.iscoroutine(result) else result


async def _finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    async with Scope():
        return await coroutine


def refresh_connections(kept: Collection[str] = ()) -> None:
    """Do as `close_old_connections()` at both ends of a request, except inside a transaction.

    There, it would close the connection under the feet of whoever began the transaction. Those of
    the `kept` aliases are left to whoever keeps them.
    """
    if connections_are_in_order(kept):
        return
    reset_queries()
    for connection in connections.all(initialized_only=True):
        # What stands in for a connection need not have an alias.
        is_kept = getattr(connection, "alias", None) in kept
        if not is_kept and not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def connections_are_in_order(kept: Collection[str] = ()) -> bool:
    """Whether every connection of this thread but the kept is in order, and none logs a query.

    Asking `connections` and each of them takes longer than a short unit of work. So this looks
    straight into where it keeps what this thread has, and says no to anything there that it does
    not know.
    """
    try:
        there = connections._connections._storage.__dict__  # type: ignore[attr-defined]  # private
    except AttributeError:
        return False
    return all(_is_in_order(each) for alias, each in there.items() if alias not in kept)


def _is_in_order(connection: Any) -> bool:
    """Whether `close_if_unusable_or_obsolete()` and `reset_queries()` would change nothing."""
    if getattr(type(connection), _REFRESH, None) is not _DJANGOS or _REFRESH in vars(connection):
        return False
    if connection.queries_log:
        return False
    if connection.connection is None:
        return True
    if connection.in_atomic_block or connection.errors_occurred:
        return False
    if connection.autocommit != connection.settings_dict["AUTOCOMMIT"]:
        return False
    if connection.close_at is not None and time.monotonic() >= connection.close_at:
        return False
    connection.health_check_done = False  # as those do, for the next unit
    return True


def close_connections() -> None:
    """Close all connections of this thread, which is about to end, except inside a transaction."""
    reset_queries()
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
