"""What in TASKS will be trouble: jobs that nobody executes, or that requests wait for."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.core.checks import CheckMessage, Warning

from hosting.compat import InvalidTaskBackend, task_backends
from hosting.deployment.workers import DeclaredWorker, queues_without_worker
from hosting.queues.backends import DatabaseBackend

#: Backends of the task API that execute no task in the background.
NOT_FOR_PRODUCTION = {
    "ImmediateBackend": "executes tasks where they are enqueued, while the request waits",
    "DummyBackend": "executes no task at all",
}


def usable_backends() -> Iterator[tuple[str, DatabaseBackend]]:
    """The database backends whose settings are sound, by alias."""
    for alias in task_backends:
        try:
            backend = task_backends[alias]
        except InvalidTaskBackend:
            continue
        if isinstance(backend, DatabaseBackend) and not backend.check():
            yield alias, backend


def check_backends() -> Iterator[CheckMessage]:
    """W114: backends for tests."""
    for alias in task_backends:
        path = task_backends.settings[alias]["BACKEND"]
        name = path.rpartition(".")[2]
        if name in NOT_FOR_PRODUCTION and path.startswith(("django.tasks.", "django_tasks.")):
            yield Warning(
                f"TASKS[{alias!r}]['BACKEND'] is {path!r}, which {NOT_FOR_PRODUCTION[name]}.",
                hint="Use 'hosting.queues.DatabaseBackend', and have a process host a TaskWorker.",
                id="hosting.W114",
            )


def check_queues(
    backends: dict[str, DatabaseBackend], workers: Collection[DeclaredWorker]
) -> Iterator[CheckMessage]:
    """W115: backends and queues without a worker."""
    for alias, backend in backends.items():
        if not any(worker.backend is backend for worker in workers):
            yield _unserved(f"TASKS[{alias!r}]: no TaskWorker in HOSTED_SERVICES serves it")
            continue
        for name in queues_without_worker(backend, workers):
            where = f"TASKS[{alias!r}]['QUEUES']"
            yield _unserved(
                f"{where}: contains {name!r}, which no TaskWorker in HOSTED_SERVICES serves"
            )


def _unserved(found: str) -> CheckMessage:
    return Warning(
        f"{found}, so its jobs wait for ever.",
        hint="Declare a TaskWorker for it, or silence this if another project hosts one.",
        id="hosting.W115",
    )
