"""The tasks that the tests of the queue enqueue. A gate lets a test meet a task halfway."""

import sys
import threading
from collections import defaultdict
from typing import Any

from django.db import connection, transaction

from hosting.compat import task
from hosting.queues import JobContext
from hosting.scope import scope


class Gate:
    """The task says that it has come in, and waits until the test lets it out."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def pass_through(self) -> None:
        self.entered.set()
        assert self.opened.wait(20)


gates: defaultdict[str, Gate] = defaultdict(Gate)
calls: list[Any] = []


@task
def add(a: int, b: int = 0) -> int:
    return a + b


@task
def note(what: Any) -> None:
    calls.append(what)


@task
async def aadd(a: int, b: int = 0) -> int:
    return a + b


@task
async def leave_the_loop() -> None:
    sys.exit(3)


@task(takes_context=True)
def tell(context: JobContext, word: str) -> list[Any]:
    assert type(context) is JobContext
    return [word, context.attempt, context.task_result.id, context.cancelled]


@task(takes_context=True)
async def atell(context: JobContext, word: str) -> list[Any]:
    return [word, context.attempt, context.task_result.id, context.cancelled]


@task
def fail(message: str = "as told") -> None:
    raise LookupError(message)


@task
def leave(how: str) -> None:
    raise {"exit": SystemExit, "interrupt": KeyboardInterrupt}[how](how)


@task(takes_context=True)
def fail_at_first(context: JobContext) -> int:
    if context.attempt == 1:
        raise LookupError("the first attempt")
    return context.attempt


@task
def give_object() -> object:
    return object()


@task
def give_thread_name() -> str:
    return threading.current_thread().name


@task
def wait_at(gate: str) -> str:
    gates[gate].pass_through()
    return gate


@task(takes_context=True)
def wait_for_cancellation(context: JobContext, gate: str) -> None:
    gates[gate].entered.set()
    assert context.token.wait(20)
    context.token.raise_if_cancelled()


@task(takes_context=True)
async def await_cancellation(context: JobContext, gate: str) -> None:
    gates[gate].entered.set()
    assert await context.token.wait_async(20)
    context.token.raise_if_cancelled()


@task
def leave_a_transaction_open() -> None:
    transaction.atomic().__enter__()
    connection.cursor().execute("SELECT 1")


@task
def switch_autocommit_off() -> None:
    transaction.set_autocommit(False)


@task
def open_a_scope_of_its_own() -> int:
    with scope():
        return 1


def plain_function(word: str) -> None:
    calls.append(word)


renamed = task(plain_function)


@task
def nothing() -> None:
    pass
