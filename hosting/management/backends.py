"""The `--backend` of commands."""

from __future__ import annotations

from django.core.management.base import CommandError

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
