"""A forked process lets go of the connections that it has inherited, unheard by the database.

Pools are tried in `tests/servers`, by servers that load the project before they fork.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from hosting.process.inherited import renounce_connections
from tests.test_forks import in_forked_process

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def ask(statement: str) -> Any:
    """The one value of a query."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def test_the_child_works_with_a_connection_of_its_own() -> None:
    ask("SELECT 1")
    inherited = connection.connection

    def check() -> bool:
        renounce_connections()
        return ask("SELECT 2") == 2 and connection.connection is not inherited

    assert in_forked_process(check) == 0
    assert ask("SELECT 3") == 3
    assert connection.connection is inherited


@pytest.mark.skipif(connection.vendor != "postgresql", reason="sessions are PostgreSQL's")
def test_the_parent_keeps_its_session() -> None:
    session = ask("SELECT pg_backend_pid()")

    def check() -> bool:
        renounce_connections()
        return bool(ask("SELECT pg_backend_pid()") != session)

    assert in_forked_process(check) == 0
    assert ask("SELECT pg_backend_pid()") == session


def test_a_connection_that_is_closed_is_no_obstacle() -> None:
    ask("SELECT 1")
    connection.connection.close()

    assert in_forked_process(lambda: renounce_connections() is None and ask("SELECT 2") == 2) == 0
    connection.close()
