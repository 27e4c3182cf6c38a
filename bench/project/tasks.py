"""The jobs as tasks of Django's task API."""

from __future__ import annotations

from typing import Any

from django.conf import settings

import hosting
from bench import work
from bench.project import models
from hosting.compat import InvalidTask, task


@task
def noop() -> None:
    work.noop()


@task
def insert() -> None:
    work.noop()
    models.insert()


@task
def stamp(sent: int) -> None:
    work.stamp(sent)


def insert_atomic() -> None:
    work.noop()
    models.insert()


def _atomic(function: Any) -> Any:
    """The function as a task that commits with its job; None if the backend has no such tasks."""
    if not str(settings.TASKS["default"]["BACKEND"]).startswith("hosting."):
        return None
    make: Any = getattr(hosting, "task", task)
    try:
        return make(atomic=True)(function)
    except (TypeError, InvalidTask):
        return None


insert_atomic = _atomic(insert_atomic)

TASKS: dict[str, Any] = {
    work.NOOP: noop,
    work.INSERT: insert,
    work.INSERT_ATOMIC: insert_atomic,
    work.STAMP: stamp,
}
