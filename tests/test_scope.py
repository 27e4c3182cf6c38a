"""The span of one unit of work, with its connections: lifecycle 11."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

import hosting
from hosting.background import BackgroundTaskQueue, QueuedHostedService
from hosting.cancellation import CancellationToken
from hosting.models import HostProcess
from hosting.scope import Scope, call_in_scope, close_connections, in_scope, scope
from hosting.services import BackgroundService, HostedService, ScopedService, TimedService
from hosting.threads import ServiceThread
from tests.host.helpers import (
    PATIENCE,
    Journal,
    Runner,
    a_host,
    assert_no_threads_left,
    run,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def journal() -> Iterator[Journal]:
    yield Journal()
    assert_no_threads_left()


@pytest.fixture
def lasting_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """New connections last for ever and are looked at before they are used again."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", None)
    monkeypatch.setitem(connections.settings["default"], "CONN_HEALTH_CHECKS", True)


def query() -> Any:
    """Use the database; gives the raw connection that was used."""
    HostProcess.objects.count()
    return connection.connection


def on_a_thread(call: Callable[[], Any]) -> Any:
    """What the call gives on a new thread, whose connections are closed at its end."""

    def closing() -> Any:
        try:
            return call()
        finally:
            close_connections()

    return Runner(closing).result()


def queries_logged() -> int:
    return len(connection.queries_log)


@contextmanager
def logging_queries() -> Iterator[None]:
    connection.force_debug_cursor = True
    try:
        yield
    finally:
        connection.force_debug_cursor = False


def test_scope_is_public() -> None:
    """Lifecycle 11: `hosting.scope()` is there for everybody."""
    assert hosting.scope is scope
    assert isinstance(hosting.scope(), Scope)


def test_a_connection_that_is_too_old_is_replaced() -> None:
    """Lifecycle 11: before the work, when CONN_MAX_AGE (0 by default) has passed."""

    def work() -> bool:
        first = query()
        with scope():
            assert connection.connection is None
            second = query()
        assert connection.connection is None, "it is too old after the work too"
        return first is not second

    assert on_a_thread(work)


@pytest.mark.usefixtures("lasting_connections")
def test_a_connection_that_is_good_is_kept() -> None:
    """Lifecycle 11: with CONN_MAX_AGE a scope costs no new connection."""

    def work() -> bool:
        with scope():
            first = query()
        with scope():
            return query() is first

    assert on_a_thread(work)


@pytest.mark.usefixtures("lasting_connections")
@pytest.mark.parametrize("health_checks", [True, False])
def test_a_connection_that_the_server_has_closed_is_replaced(
    monkeypatch: pytest.MonkeyPatch, health_checks: bool
) -> None:
    """Lifecycle 11: at once with health checks, else after the unit that met the error."""
    if connection.vendor != "postgresql":
        pytest.skip("no server that could close a connection")
    monkeypatch.setitem(connections.settings["default"], "CONN_HEALTH_CHECKS", health_checks)

    def work() -> Any:
        with scope():
            dead = query()
            Runner(lambda: _terminate(dead.info.backend_pid)).result()
        if not health_checks:
            with pytest.raises(Exception, match=r"terminat|closed"), scope():
                query()
        with scope():
            return query() is not dead

    assert on_a_thread(work)


def _terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    connection.close()


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.usefixtures("lasting_connections")
def test_a_service_survives_that_the_server_closes_its_connection(
    journal: Journal, kind: str
) -> None:
    """Lifecycle 11: the next unit has a good connection."""
    if connection.vendor != "postgresql":
        pytest.skip("no server that could close a connection")
    pids: list[int] = []

    class Counting(ScopedService):
        interval = 0.001

        def work(self, scope: Scope, stopping: CancellationToken) -> None:
            pids.append(query().info.backend_pid)
            if self.unit_count == 1:
                Runner(lambda: _terminate(pids[0])).result()
            journal.note("counted")

    class CountingAsync(Counting):
        async def work(self, scope: Scope, stopping: CancellationToken) -> None:
            await sync_to_async(super().work)(scope, stopping)

    service = Counting() if kind == "plain" else CountingAsync()
    with a_host(service):
        journal.wait_for("counted", times=2)
    assert service.failure_count == 0
    assert pids[1] != pids[0]


def test_the_query_log_is_emptied_before_and_after() -> None:
    """Lifecycle 11: with DEBUG, a long life would fill the memory with it."""

    def work() -> list[int]:
        with logging_queries():
            query()
            counts = [queries_logged()]
            with scope():
                counts.append(queries_logged())
                query()
                counts.append(queries_logged())
            counts.append(queries_logged())
        return counts

    assert on_a_thread(work) == [1, 0, 1, 0]


def test_a_transaction_around_a_scope_is_left_alone() -> None:
    """Lifecycle 11: a connection in a transaction is nobody's to close."""

    def work() -> bool:
        with transaction.atomic():
            before = query()
            with scope():
                return query() is before

    assert on_a_thread(work)


class Wrapper:
    """In the place of a connection, as a test or an extension may put there; counts its looks."""

    in_atomic_block = False

    def __init__(self) -> None:
        self.looks = 0
        self.queries_log: list[str] = ["a query"]

    def close_if_unusable_or_obsolete(self) -> None:
        self.looks += 1

    def close(self) -> None:
        pass


def fail_if_asked(*_: Any, **__: Any) -> Any:
    raise AssertionError("there was nothing to ask for")


def test_a_thread_without_an_open_connection_is_not_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lifecycle 11: short units must not pay for what they do not use."""

    def work() -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(type(connections), "all", fail_if_asked)
            with scope():
                pass
        query()
        connection.close()
        with monkeypatch.context() as patch:
            patch.setattr(type(connections), "all", fail_if_asked)
            with scope():
                pass
        return True

    assert on_a_thread(work)


@pytest.mark.usefixtures("lasting_connections")
def test_a_connection_in_order_is_looked_at_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lifecycle 11: nor for what they use; its health is checked before it is used again."""

    def work() -> list[bool]:
        wrapper: Any = connections["default"]
        with scope():
            query()
        wrapper.health_check_done = True
        with monkeypatch.context() as patch:
            patch.setattr(type(connections), "all", fail_if_asked)
            with scope():
                kept = wrapper.connection is not None
        return [kept, wrapper.health_check_done]

    assert on_a_thread(work) == [True, False]


@pytest.mark.usefixtures("lasting_connections")
@pytest.mark.parametrize("own", ["of the class", "of the connection"])
def test_a_backend_may_refresh_in_its_own_way(own: str) -> None:
    """Lifecycle 11: as those do that keep connections in a pool of their own."""
    looks: list[str] = []

    def work() -> int:
        wrapper = connections["default"]
        query()
        method = "close_if_unusable_or_obsolete"
        if own == "of the class":
            kind = type(wrapper)
            wrapper.__class__ = type("Own", (kind,), {method: lambda self: looks.append(own)})
        else:
            setattr(wrapper, method, lambda: looks.append(own))
        with scope():
            return len(looks)

    assert on_a_thread(work) == 1
    assert looks == [own, own]


def test_queries_of_a_connection_that_is_closed_are_forgotten_too() -> None:
    """Lifecycle 11: the log outlives the connection."""

    def work() -> list[int]:
        with logging_queries():
            query()
            connection.close()
            counts = [queries_logged()]
            with scope():
                counts.append(queries_logged())
        return counts

    assert on_a_thread(work) == [1, 0]


@pytest.mark.parametrize("in_a_loop", [False, True], ids=["on a thread", "in a loop"])
def test_whatever_stands_in_for_a_connection_is_looked_after(in_a_loop: bool) -> None:
    """Lifecycle 11: also where `connections` keeps what belongs to a running event loop."""
    wrapper = Wrapper()

    def work() -> None:
        connections["default"] = wrapper  # type: ignore[assignment]  # stands in
        with scope():
            assert wrapper.queries_log == []
            wrapper.queries_log.append("another query")

    async def work_in_a_loop() -> None:
        work()

    on_a_thread((lambda: run(work_in_a_loop())) if in_a_loop else work)
    assert wrapper.looks == 2
    assert wrapper.queries_log == []


def test_connections_of_any_make_are_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lifecycle 11: whatever Django keeps them in, and whoever stands in for it."""
    wrapper = Wrapper()

    class Connections:
        def all(self, initialized_only: bool = False) -> list[Wrapper]:
            return [wrapper]

    monkeypatch.setattr(sys.modules[Scope.__module__], "connections", Connections())
    with scope():
        pass
    assert wrapper.looks == 2


USES: dict[str, Callable[[], object]] = {
    "look up": lambda: connections["default"].alias,
    "query": query,
    "close": lambda: connection.close(),
    "log queries": lambda: setattr(connection, "force_debug_cursor", True),
    "log none": lambda: setattr(connection, "force_debug_cursor", False),
}


@settings(max_examples=40)
@given(units=st.lists(st.lists(st.sampled_from(sorted(USES)), max_size=4)))
def test_no_unit_begins_or_ends_with_an_old_connection_or_with_queries(
    units: list[list[str]],
) -> None:
    """Lifecycle 11: whatever the units before it did, in and between them."""
    seen: list[tuple[Any, int]] = []

    def unit(uses: list[str]) -> None:
        seen.append((connection.connection, queries_logged()))
        for use in uses:
            USES[use]()

    def work() -> None:
        for uses in units:
            call_in_scope(unit, uses)
            seen.append((connection.connection, queries_logged()))
            for use in reversed(uses):  # outside of a scope
                USES[use]()
        with scope():
            seen.append((connection.connection, queries_logged()))

    on_a_thread(work)
    assert set(seen) == {(None, 0)}


def test_what_is_registered_is_left_when_the_scope_ends_latest_first() -> None:
    """Lifecycle 11: whether the unit succeeded or failed."""
    left: list[str] = []

    @contextmanager
    def resource() -> Iterator[str]:
        yield "resource"
        left.append("resource")

    with scope() as found:
        found.callback(left.append, "first")
        assert found.enter(resource()) == "resource"
        found.callback(left.append, "last")
    assert left == ["last", "resource", "first"]

    def fail() -> None:
        with scope() as found:
            found.callback(left.append, "after a failure")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert left[-1] == "after a failure"


def test_connections_are_looked_after_though_a_callback_raises() -> None:
    """Lifecycle 11: whatever is registered."""

    def fail() -> None:
        with scope() as found:
            found.callback(lambda: 1 / 0)
            query()

    def work() -> bool:
        with pytest.raises(ZeroDivisionError):
            fail()
        return connection.connection is None

    assert on_a_thread(work)


def test_an_asynchronous_scope_has_a_connection_of_its_own_and_closes_it() -> None:
    """Lifecycle 11: on the thread that owns the connection."""
    used: list[Any] = []

    async def work() -> None:
        async with scope():
            await HostProcess.objects.acount()
            used.append(await sync_to_async(lambda: connections["default"])())
            assert used[-1].connection is not None

    async def two() -> None:
        await asyncio.gather(work(), work())

    run(two())
    assert used[0] is not used[1]
    assert [wrapper.connection for wrapper in used] == [None, None]
    assert connections["default"] not in used


def test_the_query_log_of_an_asynchronous_scope_is_emptied() -> None:
    """Lifecycle 11: for coroutine work too."""

    def log() -> int:
        connection.force_debug_cursor = True
        query()
        return queries_logged()

    async def work() -> list[int]:
        async with scope():
            first = await sync_to_async(log)()
        async with scope():
            return [first, await sync_to_async(queries_logged)()]

    assert run(work()) == [1, 0]


def test_a_unit_in_a_scope_may_be_anything_that_can_be_called() -> None:
    """Lifecycle 11: plain, coroutine function, or what turns out to give a coroutine."""

    async def coroutine(number: int) -> int:
        return number + 1

    class Callable:
        async def __call__(self, number: int) -> int:
            return number + 1

    assert in_scope(lambda number: number + 1)(1) == 2
    assert run(in_scope(coroutine)(1)) == 2
    assert run(in_scope(lambda number: coroutine(number))(1)) == 2
    assert run(in_scope(Callable())(1)) == 2
    assert call_in_scope(lambda number: number + 1, 1) == 2
    assert run(call_in_scope(coroutine, 1)) == 2


def test_a_unit_gets_its_scope_if_it_is_handed_over() -> None:
    async def coroutine(scope: Scope, number: int) -> bool:
        return isinstance(scope, Scope)

    assert in_scope(lambda scope, number: isinstance(scope, Scope), hand_over=True)(1)
    assert run(in_scope(coroutine, hand_over=True)(1))


def test_the_connections_of_a_service_thread_are_closed_at_its_end() -> None:
    """Lifecycle 11: also when the call fails."""
    wrappers: list[Any] = []

    def work() -> None:
        query()
        wrappers.append(connections["default"])
        raise ValueError("no")

    thread = ServiceThread("hosting:test", work)
    assert thread.finished.wait(PATIENCE)
    assert isinstance(thread.error, ValueError)
    assert wrappers[0].connection is None
    assert_no_threads_left()


def test_a_connection_that_cannot_be_closed_does_not_hang_who_waits_for_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lifecycle 6: the end of the call is the end of the call."""

    def fail() -> None:
        raise ValueError("the database is gone")

    monkeypatch.setattr("hosting.threads.close_connections", fail)
    thread = ServiceThread("hosting:test", lambda: None)
    assert thread.finished.wait(PATIENCE / 4)


@pytest.mark.parametrize("method", ["start", "execute", "stop", "close"])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_stopped_host_holds_no_connection(journal: Journal, kind: str, method: str) -> None:
    """Lifecycle 11: whichever method used the database, as a function or as a coroutine."""
    wrappers: list[Any] = []

    def use(*_: Any) -> None:
        query()
        wrappers.append(connections["default"])
        journal.note("used")

    async def use_async(*_: Any) -> None:
        await HostProcess.objects.acount()
        await sync_to_async(use)()

    body = {method: use if kind == "plain" else use_async}
    base = BackgroundService if method == "execute" else HostedService
    with a_host(type("Using", (base,), body)()):
        if method in ("start", "execute"):
            journal.wait_for("used")
    assert [wrapper.connection for wrapper in wrappers] == [None]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_each_tick_has_a_scope_of_its_own(journal: Journal, kind: str) -> None:
    """Lifecycle 11: a tick begins without the old connection of the last one."""
    begun_with: list[Any] = []

    class Counting(TimedService):
        interval = 0.001

        def tick(self, stopping: CancellationToken) -> None:
            begun_with.append(connections["default"].connection)
            query()
            journal.note("counted")

    class CountingAsync(Counting):
        async def tick(self, stopping: CancellationToken) -> None:
            await sync_to_async(super().tick)(stopping)

    with a_host(Counting() if kind == "plain" else CountingAsync()):
        journal.wait_for("counted", times=3)
    assert set(begun_with) == {None}


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_each_work_item_has_a_scope_of_its_own(journal: Journal, kind: str) -> None:
    """Lifecycle 11: the log of an item is empty after it, and its old connection closed."""
    found: list[Any] = []

    def work(token: CancellationToken) -> None:
        found.append((connections["default"].connection, queries_logged()))
        connection.force_debug_cursor = True
        query()
        journal.note("worked")

    async def work_async(token: CancellationToken) -> None:
        await sync_to_async(work)(token)

    def look(token: CancellationToken) -> None:
        found.append((connections["default"].connection, queries_logged()))
        journal.note("looked")

    queue = BackgroundTaskQueue()
    with a_host(QueuedHostedService(queue=queue)):
        for item in (look, *[work if kind == "plain" else work_async] * 3, look):
            queue.enqueue(item)
        journal.wait_for("looked", times=2)
    assert journal.count("worked") == 3
    assert set(found) == {(None, 0)}
