"""The tasks that `BackendConformance` enqueues.

A worker finds a task by its path, so each is an attribute of this module, made by the class of task
that its backend asks for. In the process of the tests `declare_for` makes them for the backend that
is tested. A worker in another process, which only imports this module, gets them for
`TASKS["default"]`, as with any other module of tasks.

A task that its backend cannot have stays a plain function.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS, BaseTaskBackend, TaskContext, task_backends

#: The queue that a backend has if its settings name none.
DEFAULT_QUEUE = "default"

F = TypeVar("F", bound=Callable[..., Any])

_functions: list[Callable[..., Any]] = []


class Mishap(Exception):
    """What a task fails with; it takes more than a message, so it cannot be made anew from one."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"{what} ({code})")


def declare_for(alias: str) -> None:
    """Make the tasks of this module tasks of the backend with this alias."""
    backend = task_backends[alias]
    for function in _functions:
        possible = backend.supports_async_task or not iscoroutinefunction(function)
        globals()[function.__name__] = _make(backend, function) if possible else function


def _make(backend: BaseTaskBackend, function: Callable[..., Any]) -> Any:
    return backend.task_class(
        func=function,
        backend=backend.alias,
        queue_name=_queue_of(backend),
        priority=0,
        run_after=None,
        takes_context="context" in function.__annotations__,
    )


def _queue_of(backend: BaseTaskBackend) -> str:
    if not backend.queues or DEFAULT_QUEUE in backend.queues:
        return DEFAULT_QUEUE
    return min(backend.queues)


def _to_be_task(function: F) -> F:
    _functions.append(function)
    return function


@_to_be_task
def add(a: int, b: int = 0) -> int:
    return a + b


@_to_be_task
async def aadd(a: int, b: int = 0) -> int:
    return a + b


@_to_be_task
def echo(*args: Any, **kwargs: Any) -> list[Any]:
    return [list(args), kwargs]


@_to_be_task
def name_types(*args: Any) -> list[str]:
    return [type(value).__name__ for value in args]


@_to_be_task
def give_nothing() -> None:
    pass


@_to_be_task
def give_tuple() -> tuple[Any, ...]:
    return 1, (2, {"three": (3,)})


@_to_be_task
def give_bytes() -> bytes:
    return b"text"


@_to_be_task
def give_object() -> object:
    return object()


@_to_be_task
def fail(message: str) -> None:
    raise LookupError(message)


@_to_be_task
async def afail(message: str) -> None:
    raise LookupError(message)


@_to_be_task
def meet_mishap() -> None:
    raise Mishap("it broke", 7)


@_to_be_task
def leave() -> None:
    raise SystemExit(3)


@_to_be_task
def tell(context: TaskContext[..., Any], word: str) -> list[Any]:
    return _tell(context, word)


@_to_be_task
async def atell(context: TaskContext[..., Any], word: str) -> list[Any]:
    return _tell(context, word)


@_to_be_task
def look_itself_up(context: TaskContext[..., Any]) -> list[Any]:
    found = context.task_result.task.get_result(context.task_result.id)
    return [found.status, found.attempts, found.is_finished]


@_to_be_task
def fail_at_first(context: TaskContext[..., Any]) -> int:
    if context.attempt == 1:
        raise LookupError("the first attempt")
    return context.attempt


def _tell(context: TaskContext[..., Any], word: str) -> list[Any]:
    result = context.task_result
    return [word, context.attempt, result.id, result.status, isinstance(context, TaskContext)]


# For a process that only imports this module.
if aliases := sorted(task_backends):
    declare_for(DEFAULT_TASK_BACKEND_ALIAS if DEFAULT_TASK_BACKEND_ALIAS in aliases else aliases[0])
