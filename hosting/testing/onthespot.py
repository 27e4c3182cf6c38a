"""Services on the spot: one tick, or their whole `execute` in time that takes none.

Everything happens in the calling thread, coroutines and their database work included. So it takes
part in the transaction of a `TestCase`, and works on a SQLite database in memory.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from asgiref.sync import async_to_sync

from hosting.cancellation import CancellationToken
from hosting.schedules import Schedule, parse_interval
from hosting.services import BackgroundService, ScopedService, TimedService
from hosting.services.base import Unhosted


def call_here(function: Callable[..., Any], *args: Any) -> Any:
    """Call a plain or coroutine function in this thread, and so with this thread's connections."""
    result = function(*args)
    return async_to_sync(_finish)(result) if inspect.iscoroutine(result) else result


async def _finish(coroutine: Any) -> Any:
    return await coroutine


class OnTheSpot(Unhosted):
    """The runtime of a service that a test runs in its own thread."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return call_here(function, *args)


def tick(service: TimedService | ScopedService, *, errors: str = "raise") -> None:
    """Run one tick of a `TimedService`, or one iteration of a `ScopedService`, in its scope.

    It is counted as in a host. What it raises is raised here; with `errors="log"` the service's
    own `failed` has it instead. The schedule is not asked.
    """
    stopping = CancellationToken()
    with _on_the_spot(service, errors):
        if isinstance(service, TimedService):
            service.run_unit(service.tick, stopping)
        else:
            service.run_unit(service.work, stopping, hand_over=True)


def play(
    service: BackgroundService,
    span: float | timedelta,
    *,
    start: datetime | None = None,
    errors: str = "raise",
) -> None:
    """Run `execute` of a service for a span (seconds or a timedelta) of time that takes none.

    Each wait for the service's own token lets its seconds pass at once, and the token is cancelled
    at the end of the span; what is due at that very moment does not run any more. A `TimedService`
    keeps to its schedule in that time, which begins at `start` (default: now).

    No other clock is moved: not `timezone.now()`, not that of the database, and not waits for
    other tokens. Errors are as in `tick`; those of `execute` itself are always raised.
    """
    passing = PassingTime(parse_interval(span))
    with _on_the_spot(service, errors):
        if isinstance(service, TimedService):
            schedule = cast(Schedule, _Moved(service.schedule(), passing, start))
            with _replaced(service, "schedule", lambda: schedule):
                call_here(service.execute, passing)
        else:
            call_here(service.execute, passing)


class PassingTime(CancellationToken):
    """A token whose waits take no time; it is cancelled once they add up to `span` seconds."""

    def __init__(self, span: float) -> None:
        super().__init__()
        self.passed = 0.0
        self._span = span

    def wait(self, seconds: float | None = None) -> bool:
        if seconds is None or self.passed + seconds >= self._span:
            self.passed = self._span
            self.cancel()
        else:
            self.passed += max(0.0, seconds)
        return self.is_cancelled

    async def wait_async(self, seconds: float | None = None) -> bool:
        return self.wait(seconds)


class _Moved:
    """A schedule whose clock is that of `PassingTime`."""

    def __init__(self, schedule: Schedule, passing: PassingTime, start: datetime | None) -> None:
        self._schedule = schedule
        self._passing = passing
        self._start = schedule.now() if start is None else start.timestamp()

    def now(self) -> float:
        return self._start + self._passing.passed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._schedule, name)


@contextmanager
def _on_the_spot(service: BackgroundService, errors: str) -> Iterator[None]:
    if errors not in ("raise", "log"):
        raise ValueError(f"errors is {errors!r}, allowed: 'raise', 'log'")
    if not isinstance(service._attached, OnTheSpot):
        service.attach(service.name or type(service).__name__, OnTheSpot())
    if errors == "log" or not hasattr(service, "failed"):
        yield
    else:
        with _replaced(service, "failed", _raise):
            yield


def _raise(error: BaseException) -> None:
    raise error


@contextmanager
def _replaced(service: Any, name: str, value: Callable[..., Any]) -> Iterator[None]:
    """Give the instance another method for a while."""
    setattr(service, name, value)
    try:
        yield
    finally:
        delattr(service, name)
