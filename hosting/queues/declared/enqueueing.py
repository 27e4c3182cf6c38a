"""What the options of a task mean for one call of it, when that is enqueued."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from django.utils import timezone

from hosting.backoff import Backoff
from hosting.compat import InvalidTask, Task
from hosting.queues.declared.judges import Wrong
from hosting.queues.declared.limits import NO_LIMITS, Limits, limits_of
from hosting.queues.declared.memory import remember
from hosting.queues.declared.values import backoff_values, in_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class EnqueueOptions:
    """What the backend stores of one call beside its arguments.

    Times in seconds. `unique_until` and `unique_period` exclude each other. `limit_key` is "" for a
    job without limits, `overrides` for one that is executed as its task is declared.
    """

    run_after: datetime | None = None
    #: From the enqueue; 0 or less if it is too late already.
    expires_in: float | None = None
    unique_key: str | None = None
    unique_until: Literal["started", "finished"] | None = None
    #: From the enqueue.
    unique_period: float | None = None
    limit_key: str = ""
    limit_running: int | None = None
    limit_count: int | None = None
    limit_period: float | None = None
    overrides: str = ""


@dataclass(frozen=True, slots=True)
class EnqueuePlan:
    """What is the same for every call of one task, so that many calls are planned once."""

    task: Task[..., Any]
    limits: Limits
    overrides: str
    #: Of a task whose options depend neither on the arguments nor on the time.
    fixed: EnqueueOptions | None

    @classmethod
    def of(cls, task: Task[..., Any], declared: Task[..., Any]) -> EnqueuePlan:
        """The plan of `task`, whose path leads to `declared`; raises `InvalidTask`."""
        try:
            limits, changed = limits_of(task), overrides(task, declared)
        except Wrong as error:
            raise _invalid(task, error) from None
        return cls(task, limits, changed, _fixed(task, limits, changed))

    def options(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], now: datetime
    ) -> EnqueueOptions:
        """The options of one call at `now`.

        Raises `ArgumentError`, a TypeError, if its key needs the arguments, and they do not fit the
        task or cannot be JSON; `InvalidTask` if a function that makes keys gives no string; and
        what that raises.
        """
        if self.fixed is not None:
            return self.fixed
        task, limits = self.task, self.limits
        call = (task, args, kwargs)
        try:
            unique_key, limit_key = limits.unique_key(*call), limits.limit_key(*call)
        except Wrong as error:
            raise _invalid(task, error) from None
        unique, running, rate = limits.unique, limits.concurrency, limits.rate
        lasting = unique is not None and unique.period is not None
        return EnqueueOptions(
            run_after=_run_after(task, now),
            expires_in=_expires_in(task, now),
            unique_key=unique_key,
            unique_until=unique.until if unique and not lasting else None,
            unique_period=_seconds(unique.period) if unique else None,
            limit_key=limit_key,
            limit_running=running.limit if running else None,
            limit_count=rate.count if rate else None,
            limit_period=in_seconds(rate.per) if rate else None,
            overrides=self.overrides,
        )


def enqueue_plan(task: Task[..., Any], declared: Task[..., Any]) -> EnqueuePlan:
    """The plan of `task`, whose path leads to `declared`: always the same one if it is that.

    Both may be tasks without these options. Raises as `EnqueuePlan.of` does.
    """
    plan = _plans.get(id(task)) if task is declared else None
    if plan is None:
        plan = EnqueuePlan.of(task, declared)
        if task is declared:
            remember(_plans, id(task), plan)
    return plan


#: Of declared tasks; each holds on to its task, so that no other object can take over its identity.
_plans: dict[int, EnqueuePlan] = {}


def _fixed(task: Task[..., Any], limits: Limits, overrides: str) -> EnqueueOptions | None:
    expires = getattr(task, "expires", None)
    varies = getattr(task, "_delay", None) is not None or isinstance(expires, datetime)
    if varies or limits is not NO_LIMITS:
        return None
    return EnqueueOptions(
        run_after=task.run_after, expires_in=_seconds(expires), overrides=overrides
    )


# What differs from the declared task

#: What a job can bring along, and what stands for it where a task does not say.
STORED: Mapping[str, Any] = {
    "max_attempts": None,
    "timeout": None,
    "backoff": None,
    "atomic": False,
}


def overrides(task: Task[..., Any], declared: Task[..., Any]) -> str:
    """The JSON text of what `using` changed of the declared task, "" if nothing.

    The worker executes the declared task, so the rest must come with the job. Raises `Wrong` for a
    change that JSON cannot hold.
    """
    if task is declared:
        return ""
    for option in ("retry_on", "give_up_on"):
        if (value := getattr(task, option, None)) != getattr(declared, option, None):
            raise Wrong(option, value, _as_declared("classes of errors"))
    if (value := getattr(task, "sensitive", None)) != getattr(declared, "sensitive", None):
        raise Wrong("sensitive", value, _AS_DECLARED)  # who shows jobs knows the declared task only
    changed = {
        option: value
        for option, default in STORED.items()
        if (value := _plain(getattr(task, option, default)))
        != _plain(getattr(declared, option, default))
    }
    if callable(found := changed.get("backoff")):
        raise Wrong("backoff", found, f"a Backoff, None, or {_as_declared('a function')}")
    return json.dumps(changed, separators=(",", ":")) if changed else ""


_AS_DECLARED = "what the task at this path declares"


def _as_declared(what: str) -> str:
    return f"{_AS_DECLARED}, as {what} cannot be stored with a job"


def _plain(value: Any) -> Any:
    if isinstance(value, Backoff):
        return backoff_values(value)
    return value.total_seconds() if isinstance(value, timedelta) else value


# Times


def _run_after(task: Task[..., Any], now: datetime) -> datetime | None:
    delay: timedelta | None = getattr(task, "_delay", None)
    return now + delay if task.run_after is None and delay is not None else task.run_after


def _expires_in(task: Task[..., Any], now: datetime) -> float | None:
    expires = getattr(task, "expires", None)
    if isinstance(expires, datetime):
        return (_aware(expires) - _aware(now)).total_seconds()
    return _seconds(expires)


def _seconds(value: Any) -> float | None:
    return None if value is None else in_seconds(value)


def _aware(moment: datetime) -> datetime:
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _invalid(task: Task[..., Any], error: Wrong) -> Exception:
    return InvalidTask(f"Task {task.module_path!r}: {error}.")
