"""The tasks whose options are tried; `gates` and `calls` are those of all tests of the queue."""

import threading
import time
from datetime import timedelta
from typing import Any

from hosting import task
from hosting.queues import JobContext
from tests.queues.at_work.facts import AT_ONCE
from tests.queues.tasks import calls, gates


class Mistake(Exception):
    pass


class GraveMistake(Mistake):
    pass


ERRORS = {each.__name__: each for each in (Mistake, GraveMistake, OSError, SystemExit)}


# Attempts


@task(takes_context=True, max_attempts=3, backoff=AT_ONCE)
def fail(context: JobContext, until_attempt: int = 1_000) -> int:
    if context.attempt < until_attempt:
        raise Mistake(f"attempt {context.attempt}")
    return context.attempt


@task(max_attempts=2, backoff=AT_ONCE, retry_on=(Mistake, OSError), give_up_on=GraveMistake)
def choose(name: str) -> None:
    raise ERRORS[name](name)


@task(max_attempts=2, backoff=AT_ONCE)
def leave() -> None:
    raise SystemExit


def note_failures(failures: int) -> timedelta:
    calls.append(failures)
    return timedelta(0)


@task(max_attempts=3, backoff=note_failures)
def fail_by_function() -> None:
    raise Mistake


def fail_to_say(failures: int) -> float:
    raise LookupError("no idea")


@task(max_attempts=2, backoff=fail_to_say)
def fail_with_broken_backoff() -> None:
    raise Mistake


@task(takes_context=True, max_attempts=2, retry_on=OSError)
def ask_for_retry(context: JobContext, after: Any, always: bool = False) -> int:
    if context.attempt == 1 or always:
        try:
            context.retry(after=after)
        except Exception as error:
            calls.append(error)
            raise
    return context.attempt


@task(takes_context=True, max_attempts=2)
async def ask_for_retry_in_coroutine(context: JobContext) -> int:
    if context.attempt == 1:
        context.retry(after=0)
    return context.attempt


@task(takes_context=True)
def snooze(context: JobContext, times: int, seconds: float = 0) -> int:
    if context.attempt <= times:
        context.snooze(timedelta(seconds=seconds))
    return context.attempt


@task(takes_context=True)
async def snooze_in_coroutine(context: JobContext, times: int) -> int:
    if context.attempt <= times:
        context.snooze(0)
    return context.attempt


# Time and cancellation


@task(takes_context=True, timeout=0.05)
def overrun(context: JobContext) -> None:
    assert context.token.wait(20)
    assert context.cancelled
    context.token.raise_if_cancelled()


@task(takes_context=True, timeout=0.05)
async def overrun_in_coroutine(context: JobContext) -> None:
    assert await context.token.wait_async(20)
    context.token.raise_if_cancelled()


@task(timeout=timedelta(seconds=0.05))
def overrun_stubbornly(gate: str) -> str:
    gates[gate].pass_through()
    return "too late"


@task(takes_context=True, max_attempts=3, backoff=AT_ONCE)
def run_until_told(context: JobContext, how_to_end: str = "raise") -> str:
    gates["running"].entered.set()
    while not context.cancelled:
        context.token.wait(0.01)
    calls.append("told")
    if how_to_end == "raise":
        context.token.raise_if_cancelled()
    if how_to_end == "fail":
        raise Mistake("on the way out")
    if how_to_end == "snooze":
        context.snooze(0)
    return "all the same"


@task(takes_context=True)
async def await_being_told(context: JobContext) -> None:
    gates["running"].entered.set()
    assert await context.token.wait_async(20)
    context.token.raise_if_cancelled()


@task(takes_context=True)
def tell_progress(context: JobContext, gate: str) -> None:
    context.progress(3, of=10, message="on its way ✓")
    gates[gate].pass_through()
    context.progress(10, of=10)


@task(takes_context=True)
def tell_bad_progress(context: JobContext) -> None:
    context.progress(float("nan"))


@task(takes_context=True, max_attempts=1)
def tell_progress_and_fail(context: JobContext) -> None:
    context.progress(0.5)
    raise Mistake


@task(max_attempts=2, backoff=AT_ONCE)
def fail_at(gate: str) -> None:
    gates[gate].pass_through()
    raise Mistake


@task(takes_context=True)
def snooze_at(context: JobContext, gate: str) -> None:
    gates[gate].pass_through()
    context.snooze(0)


# Keys, limits, order


@task(unique="order")
def once(order: int, gate: str = "") -> None:
    if gate:
        gates[gate].pass_through()
    calls.append(order)


class Crowd:
    """How many jobs are in here at a time; they leave in pairs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pair = threading.Barrier(2)
        self._inside: dict[str, int] = {}
        self.most: dict[str, int] = {}

    def pass_through(self, key: str, in_pairs: bool) -> None:
        with self._lock:
            self._inside[key] = self._inside.get(key, 0) + 1
            self.most[key] = max(self.most.get(key, 0), self._inside[key])
        if in_pairs:
            self._pair.wait(20)
        with self._lock:
            self._inside[key] -= 1


crowds: list[Crowd] = []


@task
def crowd(key: str, in_pairs: bool = False) -> None:
    crowds[0].pass_through(key, in_pairs)


@task
def note(what: Any) -> None:
    calls.append(what)


@task
def wait_at(gate: str) -> None:
    gates[gate].pass_through()


@task
def note_moment() -> None:
    calls.append(time.monotonic())


@task
def add_all(first: Any, second: Any = 0, extra: Any = 0) -> Any:
    return first + second + extra
