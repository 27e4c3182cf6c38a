"""The one event loop thread of a host."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from hosting.cancellation import CancellationToken
from hosting.exceptions import HostStateError
from hosting.loop import EventLoopThread
from tests.host.helpers import PATIENCE, Runner, assert_no_threads_left, on_threads


@pytest.fixture
def loop() -> Iterator[EventLoopThread]:
    made = EventLoopThread()
    yield made
    made.close()
    assert_no_threads_left()


async def current_thread() -> threading.Thread:
    return threading.current_thread()


def test_the_thread_begins_with_the_first_coroutine(loop: EventLoopThread) -> None:
    assert not [found for found in threading.enumerate() if found.name == "hosting:loop"]
    thread = loop.submit(current_thread()).result(PATIENCE)
    assert thread.name == "hosting:loop"
    assert thread.daemon


def test_all_coroutines_share_one_thread_and_one_loop(loop: EventLoopThread) -> None:
    runners = on_threads(*[lambda: loop.submit(current_thread()).result(PATIENCE)] * 8)
    assert len({runner.result() for runner in runners}) == 1


def test_the_loop_knows_its_own_thread(loop: EventLoopThread) -> None:
    async def ask() -> bool:
        return loop.is_current()

    assert loop.submit(ask()).result(PATIENCE) is True
    assert loop.is_current() is False


def test_what_a_coroutine_raises_is_raised_where_it_is_waited_for(loop: EventLoopThread) -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        loop.submit(fail()).result(PATIENCE)


def test_a_wait_for_a_result_may_end_before_it(loop: EventLoopThread) -> None:
    release = CancellationToken()
    call = loop.submit(release.wait_async())
    with pytest.raises(TimeoutError):
        call.result(0.001)
    release.cancel()
    assert call.result(PATIENCE) is True


def test_a_coroutine_can_be_cancelled(loop: EventLoopThread) -> None:
    begun, cancelled = CancellationToken(), CancellationToken()

    async def hang() -> None:
        begun.cancel()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.cancel()
            raise

    call = loop.submit(hang())
    assert begun.wait(PATIENCE)
    call.cancel()
    assert cancelled.wait(PATIENCE)


def test_closing_cancels_what_still_runs(loop: EventLoopThread) -> None:
    begun, ended = CancellationToken(), CancellationToken()

    async def hang() -> None:
        begun.cancel()
        try:
            await asyncio.Event().wait()
        finally:
            ended.cancel()

    loop.submit(hang())
    assert begun.wait(PATIENCE)
    loop.close()
    assert ended.wait(PATIENCE)


def test_closing_is_safe_before_the_first_coroutine_and_twice(loop: EventLoopThread) -> None:
    loop.close()
    loop.close()


def test_a_closed_loop_takes_no_coroutine(loop: EventLoopThread) -> None:
    """One that a hung service thread comes with after the host has stopped, say."""
    loop.submit(current_thread()).result(PATIENCE)
    loop.close()
    with pytest.raises(HostStateError):
        loop.submit(current_thread())


def test_closing_does_not_wait_for_ever_for_a_blocked_loop(loop: EventLoopThread) -> None:
    begun, release = CancellationToken(), CancellationToken()

    async def block() -> None:
        begun.cancel()
        release.wait()

    loop.submit(block())
    assert begun.wait(PATIENCE)
    try:
        Runner(loop.close).result()
    finally:
        release.cancel()


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_the_loop_outlives_an_exit(loop: EventLoopThread, error: type[BaseException]) -> None:
    """asyncio lets these two through and ends the loop, and with it the coroutines of others."""
    release = CancellationToken()
    other = loop.submit(release.wait_async())

    async def leave() -> None:
        raise error

    leaving = loop.submit(leave())
    with pytest.raises(error):
        leaving.result(PATIENCE)
    release.cancel()
    assert other.result(PATIENCE) is True


def test_asynchronous_generators_are_closed_with_the_loop(loop: EventLoopThread) -> None:
    closed = CancellationToken()
    kept = []

    async def numbers():
        try:
            yield 1
        finally:
            closed.cancel()

    async def take_one() -> int:
        generator = numbers()
        kept.append(generator)
        return int(await anext(generator))

    assert loop.submit(take_one()).result(PATIENCE) == 1
    loop.close()
    assert closed.wait(PATIENCE)
