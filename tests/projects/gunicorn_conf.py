"""A configuration of gunicorn with a hook of its own."""

from typing import Any

from tests.projects.telling import write_fact


def post_worker_init(worker: Any) -> None:
    write_fact("gunicorn", "initialised")
