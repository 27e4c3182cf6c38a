"""The `--backend` of commands, and what its database says instead of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import Error

from hosting.compat import InvalidTaskBackend, task_backends
from hosting.conf.problems import allowed_names
from hosting.exceptions import ConfigurationError
from hosting.queues.backends import DatabaseBackend
from hosting.queues.calls import database_backend


def backend_of(alias: str) -> DatabaseBackend:
    """The backend of this alias, whose settings are sound; raises `CommandError` if not."""
    if alias not in list(task_backends):
        known = allowed_names(alias, sorted(task_backends))
        raise CommandError(f"--backend is {alias!r}, which is not in TASKS, {known}")
    try:
        backend = database_backend(alias)
        _ = backend.settings
    except (TypeError, ConfigurationError, InvalidTaskBackend) as error:
        raise CommandError(str(error)) from error
    return backend


@contextmanager
def database_errors_told() -> Iterator[None]:
    """Raise `CommandError` for what a database says that is away, or is not migrated."""
    try:
        yield
    except Error as error:
        text = str(error).strip().partition("\n")[0]
        raise CommandError(f"The database cannot be used ({text}): is it migrated?") from error
