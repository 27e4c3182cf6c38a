"""The options of a task that look at its other jobs, and the keys that these share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hosting.compat import Task
from hosting.queues.declared.judges import Wrong
from hosting.queues.declared.keys import Parameters, Selector, call_key, parameters
from hosting.queues.declared.values import (
    Concurrency,
    Key,
    Rate,
    Unique,
    as_concurrency,
    as_rate,
    as_unique,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task declares of its other jobs, in one spelling, and which arguments count."""

    unique: Unique | None = None
    unique_selector: Selector = None
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    limit_selector: Selector = ()

    def unique_key(self, task: Task[..., Any], *call: Any) -> str | None:
        """The key under which a call is unique; raises as `call_key` does."""
        return _key("unique", self.unique_selector, task, *call) if self.unique else None

    def limit_key(self, task: Task[..., Any], *call: Any) -> str:
        """The key whose jobs are limited, "" if they are not; raises as `call_key` does."""
        if self.concurrency is None and self.rate is None:
            return ""
        option = "rate" if self.concurrency is None else "concurrency"
        return _key(option, self.limit_selector, task, *call)


NO_LIMITS = Limits()


def limits_of(task: Task[..., Any]) -> Limits:
    """The limits of a task whose options are of the right types.

    Raises `Wrong` for an argument there is not, and for two keys where one must serve both limits.
    """
    unique = as_unique(getattr(task, "unique", None))
    concurrency = as_concurrency(getattr(task, "concurrency", None))
    rate = as_rate(getattr(task, "rate", None))
    if unique is None and concurrency is None and rate is None:
        return NO_LIMITS
    known = _parameters(task)
    return Limits(
        unique=unique,
        unique_selector=known.select("unique.key", unique.key) if unique else None,
        concurrency=concurrency,
        rate=rate,
        limit_selector=_limit_selector(known, concurrency, rate),
    )


def _limit_selector(
    known: Parameters, concurrency: Concurrency | None, rate: Rate | None
) -> Selector:
    selectors = [
        known.select(f"{option}.key", _own_key(limit.key))
        for option, limit in (("concurrency", concurrency), ("rate", rate))
        if limit is not None
    ]
    if concurrency is not None and rate is not None and selectors[0] != selectors[1]:
        raise Wrong(
            "rate.key",
            rate.key,
            f"the key of concurrency, {concurrency.key!r}: both limits of a task count by one key",
        )
    return selectors[0] if selectors else ()


def _own_key(key: Key) -> Key:
    """Where nothing is said, a limit is for the task as a whole."""
    return () if key is None else key


def _key(
    option: str,
    selector: Selector,
    task: Task[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> str:
    return call_key(option, selector, task.module_path, partial(_parameters, task), args, kwargs)


def _parameters(task: Task[..., Any]) -> Parameters:
    return parameters(task.func, task.takes_context)
