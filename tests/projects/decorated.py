"""A project that uses uWSGI's own hook after it is loaded."""

from tests.projects.telling import write_fact
from tests.projects.wsgi import application

__all__ = ["application"]

from uwsgidecorators import postfork


@postfork
def forked() -> None:
    write_fact("decorated", "forked")
