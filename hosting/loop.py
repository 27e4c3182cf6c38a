"""The one event loop thread of a host; it begins with the first coroutine that needs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any


class EventLoopThread:
    """Runs coroutines on one asyncio event loop in a daemon thread."""

    def __init__(self, name: str = "hosting:loop") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> CoroutineCall:
        """Schedule the coroutine; the call's `result` gives what it returns."""
        return CoroutineCall(coroutine, self._running_loop())

    def is_current(self) -> bool:
        """Whether the caller runs on this loop's thread, where waiting would block the loop."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Cancel what still runs and end the thread; does nothing if it never began."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join(timeout=1.0)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop


class CoroutineCall:
    """A coroutine under way on the loop: wait for its result, or see where it hangs."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._future: Future[tuple[Any, SystemExit | KeyboardInterrupt | None]] = (
            asyncio.run_coroutine_threadsafe(self._run(coroutine), loop)
        )

    def result(self, timeout: float | None = None) -> Any:
        """What the coroutine returned or raised; raises TimeoutError after `timeout` seconds."""
        value, exit_request = self._future.result(timeout)
        if exit_request is not None:
            raise exit_request
        return value

    def cancel(self) -> None:
        """Ask asyncio to cancel the coroutine."""
        self._future.cancel()

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The asyncio task, once it has begun."""
        return self._task

    async def _run(
        self, coroutine: Coroutine[Any, Any, Any]
    ) -> tuple[Any, SystemExit | KeyboardInterrupt | None]:
        self._task = asyncio.current_task()
        try:
            return await coroutine, None
        except (SystemExit, KeyboardInterrupt) as exit_request:
            # Raised on the loop's thread, it would end the loop and with it every other coroutine.
            return None, exit_request


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
