"""The functions and tasks that the tests of task options use, and a backend that makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hosting import DatabaseTask, task
from hosting.backoff import Backoff
from hosting.queues import DatabaseBackend


class Backend(DatabaseBackend):
    """A backend whose `@task` makes a `DatabaseTask`."""

    task_class = DatabaseTask


TASKS = {
    "default": {"BACKEND": "tests.queues.declaring.Backend", "QUEUES": []},
    "other": {"BACKEND": "tests.queues.declaring.Backend", "QUEUES": []},
}

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def by_account(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    return str(args[0])


def twice(failures: int) -> float:
    return failures * 2.0


@task
def send(order: Any, copies: Any = 1, *, urgent: Any = False) -> None: ...


@task
def collect(first: Any, *others: Any, **named: Any) -> None: ...


@task(takes_context=True)
def report(context: Any, order: Any) -> None: ...


@task
def sentinel(order: Any, limit: Any = object()) -> None: ...  # noqa: B008 - no JSON


@task
async def fetch(url: str) -> None: ...


@task(
    priority=3,
    queue_name="mail",
    max_attempts=5,
    backoff=Backoff(initial=2.0),
    retry_on=(OSError, ValueError),
    give_up_on=FileNotFoundError,
    timeout=30,
    unique="order",
    concurrency=2,
    rate="10/m",
    atomic=True,
    expires=3600,
)
def full(order: Any) -> None: ...


@task(backoff=twice, retry_on=OSError)
def programmed(order: Any) -> None: ...


def plain(order: Any) -> None: ...


def alone() -> None: ...
