"""A project that asks the database when it is loaded, so that forks inherit the connection."""

import atexit

from django.db import Error

from tests.projects.telling import write_fact
from tests.projects.wsgi import application

__all__ = ["application"]

from tests.projects.urls import session


def tell_at_exit() -> None:
    """Whether the session is still there; without hosting, a child may have closed it."""
    try:
        write_fact("preloaded", f"session={session()} still")
    except Error:
        write_fact("preloaded", "session lost")


write_fact("preloaded", f"session={session()}")
atexit.register(tell_at_exit)
