"""A project that asks the database when it is loaded, so that forks inherit the connection."""

import atexit

from tests.projects.telling import write_fact
from tests.projects.wsgi import application

__all__ = ["application"]

from tests.projects.urls import session

write_fact("preloaded", f"session={session()}")
atexit.register(lambda: write_fact("preloaded", f"session={session()} still"))
