"""Whether a schedule can be: the same words for settings, rows and the admin's form."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hosting.compat import InvalidTask, InvalidTaskBackend, Task, TaskResult, task_backends
from hosting.conf import schedule as shape
from hosting.conf.problems import allowed_names
from hosting.exceptions import ConfigurationError
from hosting.queues.backends import DatabaseBackend
from hosting.queues.declared import REDACTED, redacted
from hosting.queues.declared.keys import parameters
from hosting.queues.resolution import UnknownTask, declared_task, resolve
from hosting.queues.stores.codec import decode_dict, decode_list
from hosting.queues.stores.scheduled import Definition
from hosting.schedules import parse_missed, parse_time_zone


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with one field of a definition: its name, and the words."""

    field: str
    words: str


class Impossible(ValueError):
    """A schedule that cannot be; the message says what is wrong with it."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__("; ".join(complaint.words for complaint in complaints))
        self.complaints = tuple(complaints)


@dataclass(frozen=True, slots=True)
class ScheduledCall:
    """What a schedule enqueues."""

    task: Task[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]

    def enqueue(self) -> TaskResult[..., Any]:
        """Enqueue it now; raises as `DatabaseBackend.enqueue` does."""
        return self.task.enqueue(*self.args, **self.kwargs)


def call_of(definition: Definition, database: str) -> ScheduledCall:
    """The call that a schedule enqueues; raises `Impossible` if the schedule cannot be."""
    if found := list(complaints(definition, database)):
        raise Impossible(found)
    task = resolve(definition.task_path)
    if definition.queue_name:
        task = task.using(queue_name=definition.queue_name)
    if definition.priority is not None:
        task = task.using(priority=definition.priority)
    return ScheduledCall(task, decode_list(definition.args), decode_dict(definition.kwargs))


def complaints(definition: Definition, database: str | None = None) -> Iterator[Complaint]:
    """All that is wrong; imports the task's module, and calls nothing in it.

    The job has to be written in the schedule's own transaction, so the task must be of a backend
    that uses the `database` of the schedule (None: whichever that is).
    """
    yield from _of_times(definition)
    task, found = _task(definition.task_path)
    yield from found
    arguments: list[Any] = []
    for field, decode in (("args", decode_list), ("kwargs", decode_dict)):
        try:
            arguments.append(decode(getattr(definition, field)))
        except ValueError as error:
            # Nobody knows which of them are sensitive.
            is_hidden = task is None or getattr(task, "sensitive", None)
            text = REDACTED if is_hidden else repr(getattr(definition, field))
            kind = "list" if field == "args" else "object"
            yield Complaint(field, f"{field} is {text}, allowed: a JSON {kind} ({error})")
    if task is not None:
        yield from _of_task(definition, task, database)
        if len(arguments) == 2:
            yield from _of_arguments(task, *arguments)


def backend_of(task: Task[..., Any]) -> DatabaseBackend:
    """The backend of a task of which there is no complaint."""
    return cast(DatabaseBackend, task_backends[task.backend])


def home_of(definition: Definition) -> str | None:
    """The database of its task's backend, which is where it belongs; None if nobody knows."""
    task, _ = _task(definition.task_path)
    try:
        return backend_of(task).settings.database if task else None
    except ConfigurationError:
        return None


def _of_times(definition: Definition) -> Iterator[Complaint]:
    cron, interval, zone = definition.cron, definition.interval, definition.time_zone
    if bool(cron) == (interval is not None):
        found = "both" if cron else "neither"
        yield Complaint("cron", f"exactly one of cron and interval is needed, found {found}")
    if cron:
        yield from _judged(shape.cron, cron, "cron")
    if interval is not None:
        yield from _judged(shape.interval, interval, "interval")
    if zone:
        yield from _judged(parse_time_zone, zone, "time_zone")
    if zone and interval is not None and not cron:
        yield Complaint("time_zone", f"time_zone is {zone!r}, allowed: only with cron")
    yield from _judged(parse_missed, definition.missed, "missed")


def _judged(judge: Callable[[Any, str], object], value: object, field: str) -> Iterator[Complaint]:
    try:
        judge(value, field)
    except ValueError as error:
        yield Complaint(field, str(error))


def _task(path: str) -> tuple[Task[..., Any] | None, list[Complaint]]:
    """The task at this path, or what is wrong with it."""
    try:
        task = resolve(path)
        backend = task_backends[task.backend]
    except UnknownTask as error:
        reason = str(error).removeprefix(f"{path!r} is no task: ").removesuffix(".")
        words = f"task is {path!r}, allowed: the dotted path of a task ({reason}){_near(path)}"
        return None, [Complaint("task_path", words)]
    except InvalidTaskBackend as error:
        return None, [Complaint("task_path", f"task is {path!r}, which cannot be used: {error}")]
    if isinstance(backend, DatabaseBackend):
        return task, []
    kind = f"{type(backend).__module__}.{type(backend).__qualname__}"
    found = f"task is {path!r} of the backend {task.backend!r}, which is a {kind}"
    allowed = "a task of a backend whose BACKEND is 'hosting.queues.DatabaseBackend'"
    return None, [Complaint("task_path", f"{found}, allowed: {allowed}")]


def _near(path: str) -> str:
    """The end of a message: the task of that module whose name is nearest."""
    module, _, name = path.rpartition(".")
    known = vars(sys.modules[module]) if module in sys.modules else {}
    names = [each for each, value in known.items() if isinstance(value, Task)]
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean '{module}.{near[0]}'?" if near else ""


def _of_task(
    definition: Definition, task: Task[..., Any], database: str | None
) -> Iterator[Complaint]:
    backend, queue = backend_of(task), definition.queue_name
    found = f"task is {definition.task_path!r}"
    try:
        backend.validate_task(declared_task(task))
        of_backend = backend.settings.database
    except (InvalidTask, ConfigurationError) as error:
        yield Complaint("task_path", f"{found}, which cannot be enqueued: {error}")
        return
    if database not in (None, of_backend):
        words = f"{found} of a backend whose database is {of_backend!r}, allowed: {database!r}"
        yield Complaint("task_path", words)
    if queue and backend.queues and queue not in backend.queues:
        listed = allowed_names(queue, sorted(backend.queues))
        where = f"TASKS[{task.backend!r}]['QUEUES']"
        yield Complaint("queue_name", f"queue is {queue!r}, which is not in {where}, {listed}")
    if definition.priority is not None:
        yield from _judged(shape.priority, definition.priority, "priority")


def _of_arguments(
    task: Task[..., Any], args: list[Any], kwargs: dict[str, Any]
) -> Iterator[Complaint]:
    signature = parameters(task.func, task.takes_context).signature
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        shown_args, shown_kwargs = redacted(args, kwargs, task)
        found = f"args are {shown_args!r} and kwargs {shown_kwargs!r}"
        yield Complaint("args", f"{found}, allowed: those of {task.name}{signature} ({error})")
