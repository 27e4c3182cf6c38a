"""`DatabaseTask`: Django's `Task` with options of its own, and the decorator that makes it.

Django's `@task` makes it too, as the `task_class` of the backend, and hands the options on; that of
Django 6.0 does not. `task` of this module does on every version, and its types are known. It makes
a `DatabaseTask` also for other backends, which leave the options alone: a project whose tests use
Django's `ImmediateBackend` declares its tasks once.

A task holds its options as they were written; `values` tells what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import (
    Any,
    Concatenate,
    Literal,
    ParamSpec,
    Self,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

from django.utils import timezone
from django.utils.module_loading import import_string

from hosting.backoff import Backoff
from hosting.compat import (
    DEFAULT_TASK_BACKEND_ALIAS,
    InvalidTask,
    Task,
    TaskBase,
    TaskResult,
    task_backends,
)
from hosting.conf.problems import allowed_names
from hosting.queues.declared import judges
from hosting.queues.declared.limits import limits_of
from hosting.queues.declared.sensitive import require_known
from hosting.queues.declared.values import (
    BackoffFunction,
    Concurrency,
    Errors,
    Rate,
    Seconds,
    Unique,
)

P = ParamSpec("P")
R = TypeVar("R")


class TaskOptions(TypedDict, total=False):
    """The options of a `DatabaseTask` that Django's tasks do not have."""

    max_attempts: int | None
    backoff: Backoff | BackoffFunction | None
    retry_on: Errors | None
    give_up_on: Errors | None
    timeout: Seconds | None
    unique: bool | str | Unique | None
    concurrency: int | Concurrency | None
    rate: str | Rate | None
    atomic: bool
    expires: Seconds | datetime | None
    sensitive: bool | str | tuple[str, ...] | None


class CallOptions(TaskOptions, total=False):
    """Every option that `using` takes; None leaves those of Django's tasks as they are."""

    priority: int | None
    queue_name: str | None
    backend: str | None
    run_after: datetime | timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTask(TaskBase[P, R]):
    """A task with options for its attempts, its limits and its time.

    Raises `InvalidTask`, naming the task, the option, the value and what is allowed.
    """

    #: How often it is attempted at most; None is MAX_ATTEMPTS of the backend.
    max_attempts: int | None = None
    #: The wait before the next attempt: a `Backoff`, or a function from the number of failures (1
    #: or more) to seconds; None is exponential with jitter.
    backoff: Backoff | BackoffFunction | None = None
    #: The errors after which it is attempted again; None is every `Exception`.
    retry_on: Errors | None = None
    #: The errors after which it is not, also if `retry_on` has them.
    give_up_on: Errors | None = None
    #: How long one attempt may take (seconds).
    timeout: Seconds | None = None
    #: Which of its jobs are the same, of which there is only one at a time.
    unique: bool | str | Unique | None = None
    #: How many of its jobs may run at a time, in all processes.
    concurrency: int | Concurrency | None = None
    #: How many of its jobs may start in a period, in all processes.
    rate: str | Rate | None = None
    #: Whether its writes and its completion are one transaction.
    atomic: bool = False
    #: When it is too late to start: seconds from the enqueue, or a moment.
    expires: Seconds | datetime | None = None
    #: The arguments that nobody is to see: their names, or True for all.
    sensitive: bool | str | tuple[str, ...] | None = None
    #: What `using(run_after=timedelta)` said; it counts from the enqueue.
    _delay: timedelta | None = None

    def __post_init__(self) -> None:
        # Slots make a new class, so `super()` without arguments would not find this one.
        try:
            _judge_values(self)
            Task.__post_init__(self)
            limits_of(self)
            require_known(self)
        except judges.Wrong as error:
            raise InvalidTask(f"Task {_path(self.func)!r}: {error}.") from None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by its path: there, the module has the task and not its function."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return _rebuild, (type(self), self.module_path, {**values, "func": None})

    def using(self, **changes: Unpack[CallOptions]) -> Self:
        """The same task with other options.

        A timedelta as `run_after` counts from the enqueue. None leaves `priority`, `queue_name`,
        `backend` and `run_after` as they are, as Django has it, and brings any other option back to
        its default. Raises `InvalidTask`, and TypeError for an unknown name.
        """
        return replace(self, **_changes(self, dict(changes)))

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[P, R]:
        """Enqueue a call, on any backend; raises what the backend's `enqueue` raises."""
        return Task.enqueue(_due(self), *args, **kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[P, R]:
        """Enqueue a call, on any backend; raises what the backend's `enqueue` raises."""
        return await Task.aenqueue(_due(self), *args, **kwargs)


def _due(task: DatabaseTask[P, R]) -> DatabaseTask[P, R]:
    """The task with a moment for the time from now that `using` may have said."""
    if task._delay is None or task.run_after is not None:
        return task
    return replace(task, run_after=timezone.now() + task._delay, _delay=None)


def _judge_values(task: DatabaseTask[..., Any]) -> None:
    for name, judge in judges.EVERY.items():
        value = getattr(task, name)
        if value is not None or name not in judges.OPTIONAL:
            judge(name, value)
    if task._delay is not None:
        judges.delay("run_after", task._delay)
    judges.judge_atomic(task.func, task.atomic)


def _changes(task: DatabaseTask[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    _refuse_unknown(f"using() of task {task.module_path!r}", given, judges.EVERY)
    changes = {
        name: value for name, value in given.items() if value is not None or name in judges.OWN
    }
    if isinstance(changes.get("run_after"), timedelta):
        changes |= {"run_after": None, "_delay": changes["run_after"]}
    elif "run_after" in changes:
        changes["_delay"] = None
    return changes


def _refuse_unknown(where: str, given: Iterable[str], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise TypeError(f"{where}: unknown option {name!r}, {allowed_names(name, known)}")


def _path(func: Any) -> str:
    name = getattr(func, "__qualname__", None)
    return f"{func.__module__}.{name}" if name else judges.shown(func)


def _rebuild(
    task_class: type[DatabaseTask[..., Any]], path: str, values: dict[str, Any]
) -> DatabaseTask[..., Any]:
    found = import_string(path)
    if not isinstance(found, Task):
        raise ValueError(f"{path!r} is no task: it is a {type(found).__name__}.")
    return task_class(**{**values, "func": found.func})


@overload
def task(function: Callable[P, R], /) -> DatabaseTask[P, R]: ...
@overload
def task(
    *,
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    takes_context: Literal[True],
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[Concatenate[Any, P], R]], DatabaseTask[P, R]]: ...
@overload
def task(
    *,
    priority: int = ...,
    queue_name: str = ...,
    backend: str = ...,
    takes_context: Literal[False] = False,
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[P, R]], DatabaseTask[P, R]]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function, as Django's `@task` does, with the options of a `DatabaseTask`.

    Raises `InvalidTask`, and TypeError for an unknown name; also for `run_after`, which is said
    with `using`, as Django has it.
    """
    known = {"priority": 0, "queue_name": 0, "backend": 0, "takes_context": 0}
    _refuse_unknown("@task", options, {**known, **judges.OWN})

    def make(func: Callable[..., Any]) -> DatabaseTask[..., Any]:
        backend = task_backends[options.get("backend", DEFAULT_TASK_BACKEND_ALIAS)]
        found: type[Task[..., Any]] = backend.task_class
        made = found if issubclass(found, DatabaseTask) else DatabaseTask
        # Django 6.0 has no defaults for these.
        needed = {"priority": 0, "queue_name": "default", "backend": backend.alias}
        return made(func=func, run_after=None, **{**needed, **options})

    return make if function is None else make(function)
