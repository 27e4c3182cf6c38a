"""Arguments that nobody is to see: what a task declares `sensitive`, and calls without it.

Whoever shows the arguments of a job (pages, log lines, traces) shows what `redacted` gives. The row
of the job holds them as they are, as the worker needs them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from hosting.compat import Task
from hosting.queues.declared.judges import Wrong
from hosting.queues.declared.keys import Parameters, parameters

#: What stands in the place of a value that is not shown.
REDACTED = "********"


def require_known(task: Task[..., Any]) -> None:
    """Raise `Wrong` if the task declares an argument sensitive that it does not have."""
    if not (names := _names(getattr(task, "sensitive", None))):
        return
    known = _parameters(task)
    allowed = known.signature.parameters
    if unknown := sorted(names - allowed.keys()) if not known.more_named else []:
        listed = ", ".join(map(repr, allowed)) or "none"
        raise Wrong("sensitive", unknown[0], f"the arguments of the task, {listed}")


def redacted(
    args: Sequence[Any], kwargs: Mapping[str, Any], task: Task[..., Any] | None
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call of this task as they may be shown, without the context.

    Of a task that is unknown (None), which may have declared anything, nothing is shown. A task
    without the option has no sensitive arguments.
    """
    sensitive = True if task is None else getattr(task, "sensitive", None)
    if task is None or sensitive is True:
        return [REDACTED] * len(args), dict.fromkeys(kwargs, REDACTED)
    if not (hidden := _names(sensitive)):
        return list(args), dict(kwargs)
    known = _parameters(task)
    return _positional(args, known, hidden), _named(kwargs, known, hidden)


def _positional(args: Sequence[Any], known: Parameters, hidden: Collection[str]) -> list[Any]:
    names = [*known.positional, *[known.more_positional] * len(args)]
    return [
        REDACTED if _is_hidden(name, hidden) else value
        for name, value in zip(names, args, strict=False)
    ]


def _named(kwargs: Mapping[str, Any], known: Parameters, hidden: Collection[str]) -> dict[str, Any]:
    parameters = known.signature.parameters
    return {
        name: REDACTED
        if name in hidden or (name not in parameters and _is_hidden(known.more_named, hidden))
        else value
        for name, value in kwargs.items()
    }


def _is_hidden(parameter: str | None, hidden: Collection[str]) -> bool:
    """Also what the task has no parameter for: it may be of an older version, where it had."""
    return parameter is None or parameter in hidden


def _names(sensitive: Any) -> frozenset[str]:
    if sensitive is None or isinstance(sensitive, bool):
        return frozenset()
    return frozenset([sensitive] if isinstance(sensitive, str) else sensitive)


def _parameters(task: Task[..., Any]) -> Parameters:
    return parameters(task.func, task.takes_context)
