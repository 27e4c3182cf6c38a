"""Cancellation as a value.

A `CancellationToken` says once, and for good, that work should end. Whoever does the work waits on
the token instead of sleeping, so that every wait can be interrupted, from plain functions
(`wait`) and from coroutines (`wait_async`) alike. Tokens form a tree: a token made from others is
cancelled with any of them. A parent does not keep its children alive, so a long-lived token may
have any number of short-lived children.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import logging
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType

from hosting.alarm import alarm
from hosting.context import log_fields
from hosting.exceptions import OperationCancelled

logger = logging.getLogger(__name__)

#: What work raises that ends because it was asked to.
CANCELLATIONS = (OperationCancelled, asyncio.CancelledError, concurrent.futures.CancelledError)


class Registration:
    """A callback's entry in a token; calling it, or leaving its `with` block, takes it back."""

    __slots__ = ("_key", "_token")

    def __init__(self, token: CancellationToken, key: int) -> None:
        self._token = token
        self._key = key

    def __call__(self) -> None:
        self._token._callbacks.pop(self._key, None)

    def __enter__(self) -> Registration:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self()


class CancellationToken:
    """Says whether work should end; thread-safe, and never un-cancelled.

    `CancellationToken(a, b)` is linked: it is cancelled as soon as `a` or `b` is.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_cancelled_at",
        "_children",
        "_deadline",
        "_event",
        "_keys",
        "_lock",
        "_parents",
    )

    def __init__(self, *linked_to: CancellationToken) -> None:
        self._lock = threading.RLock()
        self._event = threading.Event()
        self._keys = itertools.count()
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._children: dict[int, weakref.ref[CancellationToken]] = {}
        self._deadline: float | None = None
        self._cancelled_at: float | None = None
        self._parents = linked_to
        for parent in linked_to:
            parent._adopt(self)

    def __repr__(self) -> str:
        state = "cancelled" if self.is_cancelled else "active"
        return f"<{type(self).__name__} {state}>"

    @property
    def is_cancelled(self) -> bool:
        """Whether the work was asked to end."""
        return self._event.is_set()

    @property
    def cancelled_at(self) -> float | None:
        """When it was cancelled, in seconds of the monotonic clock; None if it is not."""
        return self._cancelled_at

    @property
    def remaining(self) -> float | None:
        """Seconds to the nearest deadline set by `cancel_after`, here or above; None if none is."""
        own = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        known = [own, *(parent.remaining for parent in self._parents)]
        return min((seconds for seconds in known if seconds is not None), default=None)

    def cancel(self) -> None:
        """Ask the work to end; runs the registered callbacks, latest first. Again does nothing.

        Every token below this one is cancelled before the first callback is called, so a callback
        that takes its time holds up nobody who waits.
        """
        cancelled = [self] if self._mark() else []
        for token in cancelled:
            children = [child() for child in list(token._children.values())]
            cancelled += [child for child in children if child is not None and child._mark()]
        for token in cancelled:
            token._run_callbacks()

    def cancel_after(self, seconds: float) -> None:
        """Cancel once `seconds` have passed; raises ValueError if they are negative."""
        if not seconds >= 0:
            raise ValueError(f"cancel_after takes seconds of 0 or more, got {seconds!r}.")
        deadline = time.monotonic() + seconds
        if self._deadline is None or deadline < self._deadline:
            self._deadline = deadline
        weak = weakref.ref(self)
        alarm.ring_at(deadline, lambda: _cancel(weak), lambda: _is_cancelled(weak))

    def wait(self, seconds: float | None = None) -> bool:
        """Wait up to `seconds` (None: for ever); True as soon as the token is cancelled."""
        return self._event.wait(_within_clock(seconds))

    async def wait_async(self, seconds: float | None = None) -> bool:
        """As `wait`, for coroutines: waits without holding up the event loop."""
        if self.is_cancelled:
            return True
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        with self.register(lambda: _wake(loop, woken)):
            await asyncio.wait((woken,), timeout=_within_clock(seconds))
        return self.is_cancelled

    def raise_if_cancelled(self) -> None:
        """Raise `OperationCancelled` if the token is cancelled."""
        if self.is_cancelled:
            raise OperationCancelled("The operation was cancelled.")

    def register(self, callback: Callable[[], object]) -> Registration:
        """Call `callback` when the token is cancelled, or now if it is already.

        It runs on the thread that cancels; what it raises is logged, never passed on. The returned
        `Registration` takes the callback back.
        """
        key = next(self._keys)
        with self._lock:
            already = self.is_cancelled
            if not already:
                self._callbacks[key] = callback
        if already:
            _call(callback)
        return Registration(self, key)

    def _mark(self) -> bool:
        """Become cancelled; False if it was so before."""
        with self._lock:
            if self.is_cancelled:
                return False
            self._cancelled_at = time.monotonic()
            self._event.set()
        return True

    def _run_callbacks(self) -> None:
        while True:
            try:
                _, callback = self._callbacks.popitem()
            except KeyError:
                return
            _call(callback)

    def _adopt(self, child: CancellationToken) -> None:
        key = next(self._keys)
        children = self._children

        def forget(_: object) -> None:
            # Runs when the child is collected, possibly inside the garbage collector: no lock.
            children.pop(key, None)

        with self._lock:
            already = self.is_cancelled
            if not already:
                children[key] = weakref.ref(child, forget)
        if already:
            child.cancel()


def _cancel(weak: weakref.ref[CancellationToken]) -> None:
    if (token := weak()) is not None:
        token.cancel()


def _is_cancelled(weak: weakref.ref[CancellationToken]) -> bool:
    token = weak()
    return token is None or token.is_cancelled


def _within_clock(seconds: float | None) -> float | None:
    return None if seconds is None else min(seconds, threading.TIMEOUT_MAX)


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:
        logger.exception(
            "A callback of a cancellation token raised: %r", callback, extra=log_fields()
        )


def _wake(loop: asyncio.AbstractEventLoop, woken: asyncio.Future[None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(_resolve, woken)


def _resolve(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
