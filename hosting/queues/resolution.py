"""From a task's path to the task: the only place where a job's row decides what is imported."""

from __future__ import annotations

import sys
from typing import Any

from django.utils.module_loading import import_string

from hosting.compat import InvalidTask, Task
from hosting.exceptions import HostingError


class UnknownTask(HostingError):
    """A job's path leads to no task in this process, as after a rename; nothing was called."""


def resolve(task_path: str) -> Task[..., Any]:
    """The task at this path; raises `UnknownTask` for whatever is no task, also for functions."""
    try:
        found = import_string(task_path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # importing runs a module, which may raise anything: SystemExit
        reason = f"it cannot be imported ({type(error).__name__}: {error})"
        raise UnknownTask(f"{task_path!r} is no task: {reason}.") from error
    if not isinstance(found, Task):
        raise UnknownTask(f"{task_path!r} is no task: it is a {type(found).__name__}.")
    return found


def declared_task(task: Task[..., Any]) -> Task[..., Any]:
    """The task that workers will find at this one's path; raises `InvalidTask` if it is another."""
    module, _, name = task.module_path.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    if not isinstance(found, Task) or found.func is not task.func:
        raise InvalidTask(
            f"A worker would not find this task: {task.module_path!r} is a "
            f"{type(found).__name__} and not the task. A task needs the name of its function."
        )
    return found
