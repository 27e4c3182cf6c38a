"""What the options of a task mean for the execution of one of its jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hosting.backoff import Backoff
from hosting.compat import Task
from hosting.context import log_fields
from hosting.queues.declared.enqueueing import STORED
from hosting.queues.declared.judges import (
    BACKOFF_BOUNDS,
    OWN,
    Wrong,
    judge_atomic,
    judge_backoff,
    wait,
)
from hosting.queues.declared.memory import remember
from hosting.queues.declared.values import BackoffFunction, Errors, in_seconds
from hosting.queues.stores.codec import DamagedJob, decode_dict

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionOptions:
    """How one job is executed. `backoff` gives seconds for a number of failures, 1 or more."""

    max_attempts: int
    backoff: Callable[[int], float]
    retry_on: Errors = Exception
    give_up_on: Errors = ()
    timeout: float | None = None
    atomic: bool = False

    def will_retry(self, error: BaseException, failures: int) -> bool:
        """Whether a job is attempted again that failed so often, at last with this error."""
        return (
            failures < self.max_attempts
            and isinstance(error, self.retry_on)
            and not isinstance(error, self.give_up_on)
        )


#: What was found for the tasks and overrides seen last. It holds on to whatever its keys identify,
#: so that no other object can take over an identity.
_known: dict[tuple[int, str, int, int], tuple[ExecutionOptions, object, object]] = {}


def execution_options(
    declared: Task[..., Any],
    overrides: str,
    default_max_attempts: int,
    default_backoff: Backoff,
) -> ExecutionOptions:
    """How a job of the declared task with these overrides, "" for none, is executed.

    The task may be one without these options. Raises `DamagedJob` for overrides that no backend
    wrote. What was found is kept, as a worker asks for every job.
    """
    key = (id(declared), overrides, default_max_attempts, id(default_backoff))
    found = _known.get(key)
    if found is not None:
        return found[0]
    options = _find(declared, overrides, default_max_attempts, default_backoff)
    remember(_known, key, (options, declared, default_backoff))
    return options


def _find(
    declared: Task[..., Any], overrides: str, max_attempts: int, backoff: Backoff
) -> ExecutionOptions:
    values = {name: getattr(declared, name, default) for name, default in STORED.items()}
    if overrides:
        values |= _read(declared, overrides)
    timeout, give_up_on = values["timeout"], getattr(declared, "give_up_on", None)
    retry_on = getattr(declared, "retry_on", None)
    return ExecutionOptions(
        max_attempts=max_attempts if values["max_attempts"] is None else values["max_attempts"],
        backoff=_backoff(values["backoff"], backoff, declared.module_path),
        retry_on=Exception if retry_on is None else retry_on,
        give_up_on=() if give_up_on is None else give_up_on,
        timeout=None if timeout is None else in_seconds(timeout),
        atomic=values["atomic"],
    )


def _read(declared: Task[..., Any], overrides: str) -> dict[str, Any]:
    try:
        values = decode_dict(overrides)
        for name, value in values.items():
            _judge(name, value)
        judge_atomic(declared.func, values.get("atomic", False))
    except ValueError as error:
        path = declared.module_path
        raise DamagedJob(f"options: {error} (of a job of {path})") from None
    if values.get("backoff") is not None:
        values["backoff"] = Backoff(**values["backoff"])
    return values


def _judge(name: str, value: Any) -> None:
    if name not in STORED:
        raise ValueError(f"{name!r} is unknown")
    if value is None and name != "atomic":
        return
    if name != "backoff":
        OWN[name](name, value)
    elif isinstance(value, dict) and value.keys() == BACKOFF_BOUNDS.keys():
        judge_backoff(name, value)
    else:
        raise Wrong(name, value, f"an object of {', '.join(BACKOFF_BOUNDS)}")


def _backoff(
    declared: Backoff | BackoffFunction | None, default: Backoff, path: str
) -> Callable[[int], float]:
    if isinstance(declared, Backoff) or declared is None:
        return (declared or default).delay
    return _guarded(declared, default, path)


def _guarded(backoff: BackoffFunction, default: Backoff, path: str) -> Callable[[int], float]:
    """A project's own function: where it fails, the default stands in, so that no job is stuck."""

    def delay(failures: int) -> float:
        try:
            return wait("what it gave", backoff(failures))
        except Exception:
            logger.exception(
                "The backoff of task %s failed; the default is used.",
                path,
                extra={**log_fields(), "task": path},
            )
            return default.delay(failures)

    return delay
