"""A configuration of gunicorn that sets up Django in the arbiter, before each worker is forked."""

from typing import Any


def pre_fork(arbiter: Any, worker: Any) -> None:
    import django

    django.setup()
