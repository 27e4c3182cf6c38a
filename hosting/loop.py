"""The one event loop thread of a host; it begins with the first coroutine that needs it."""

from __future__ import annotations

import asyncio
import inspect
import threading
import traceback
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from types import FrameType
from typing import Any

from hosting.exceptions import HostStateError
from hosting.scope import Scope
from hosting.threads import thread_stack

#: Seconds that the loop's thread has to end.
CLOSE_TIMEOUT = 0.5


class EventLoopThread:
    """Runs coroutines on one asyncio event loop in a daemon thread, each in a scope."""

    def __init__(self, name: str = "hosting:loop") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> CoroutineCall:
        """Schedule the coroutine; the call's `result` gives what it returns.

        Raises `HostStateError` once the loop is closed.
        """
        try:
            loop, thread = self._running_loop()
        except HostStateError:
            coroutine.close()  # which will never be awaited
            raise
        return CoroutineCall(coroutine, loop, thread)

    def is_current(self) -> bool:
        """Whether the caller runs on this loop's thread, where waiting would block the loop."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Cancel what still runs and end the thread; does nothing if it never began."""
        with self._lock:
            already, self._closed = self._closed, True
            loop, thread = self._loop, self._thread
        if already or loop is None or thread is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join(CLOSE_TIMEOUT)

    def _running_loop(self) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
        with self._lock:
            if self._closed:
                raise HostStateError("The host has stopped, its event loop runs no coroutine.")
            if self._loop is None or self._thread is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop, self._thread


class CoroutineCall:
    """A coroutine under way on the loop: wait for its result, or see where it hangs."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        loop: asyncio.AbstractEventLoop,
        thread: threading.Thread,
    ) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._thread = thread
        self._task: asyncio.Task[Any] | None = None
        self._future: Future[Any] = Future()
        #: Set once the coroutine has ended, also if nobody waits for it any more.
        self.ended = threading.Event()
        loop.call_soon_threadsafe(self._begin)

    def result(self, timeout: float | None = None) -> Any:
        """What the coroutine returned or raised; raises TimeoutError after `timeout` seconds."""
        return self._future.result(timeout)

    def cancel(self) -> None:
        """Wait no more, and have asyncio cancel the coroutine as soon as the loop gets to it."""
        self._future.cancel()
        with suppress(RuntimeError):  # the loop is closed, and has cancelled it
            self._loop.call_soon_threadsafe(self._cancel_task)

    def stack(self) -> str:
        """Where the coroutine is, as a traceback prints it.

        If it holds up the loop, or the loop is held up by another so that it could not begin, that
        is where the loop's thread is.
        """
        frames = list(_suspended_frames(self._coroutine))
        if not frames:
            return thread_stack(self._thread)
        return "".join(traceback.format_list(traceback.StackSummary.extract(iter(frames))))

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._end)

    async def _run(self) -> None:
        try:
            async with Scope():
                value = await self._coroutine
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Raised on the loop's thread, a SystemExit would end the loop for every coroutine.
            self._settle(error=error)
        else:
            self._settle(value)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self.ended.set()
        if inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CREATED:
            self._coroutine.close()  # cancelled before it began, it will never be awaited
        self._settle(error=asyncio.CancelledError())

    def _settle(self, value: Any = None, error: BaseException | None = None) -> None:
        if self._future.done():
            return
        with suppress(InvalidStateError):  # cancelled at this very moment
            if error is None:
                self._future.set_result(value)
            else:
                self._future.set_exception(error)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        _cancel_all(loop)
    finally:
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=0.5))
    loop.run_until_complete(loop.shutdown_asyncgens())


def _suspended_frames(awaited: Any) -> Iterator[tuple[FrameType, int]]:
    """The frames of a coroutine and what it awaits; none if it runs or has not begun."""
    if (
        inspect.iscoroutine(awaited)
        and inspect.getcoroutinestate(awaited) != inspect.CORO_SUSPENDED
    ):
        return
    while (frame := _frame(awaited)) is not None:
        yield frame, frame.f_lineno
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)


def _frame(awaited: Any) -> FrameType | None:
    return getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
