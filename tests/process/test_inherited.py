"""A forked process lets go of the connections that it has inherited, unheard by the database.

Pools are tried in `tests/servers`, by servers that load the project before they fork.
"""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest
from django.db import connection, transaction

from hosting.exceptions import HostingError
from hosting.process.inherited import renounce_connections
from messages_app.models import Message
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


@pytest.mark.skipif(connection.vendor != "postgresql", reason="sessions are PostgreSQL's")
def test_the_child_does_not_keep_the_session_alive() -> None:
    ask("SELECT 1")
    descriptor = connection.connection.fileno()

    def check() -> bool:
        renounce_connections()
        return not stat.S_ISSOCK(os.fstat(descriptor).st_mode)

    assert in_forked_process(check) == 0
    assert stat.S_ISSOCK(os.fstat(descriptor).st_mode)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="is about SQLite's files")
def test_a_transaction_that_sqlites_parent_is_in_stays_its_own() -> None:
    def check() -> bool:
        try:
            renounce_connections()
        except HostingError as error:
            return "within a transaction of the database 'default'" in str(error)
        return False

    with transaction.atomic():
        Message.objects.create(text="half done", step=1)
        assert in_forked_process(check) == 0
        Message.objects.create(text="done", step=2)

    assert Message.objects.count() == 2


def test_a_connection_that_is_closed_is_no_obstacle() -> None:
    ask("SELECT 1")
    connection.connection.close()

    assert in_forked_process(lambda: renounce_connections() is None and ask("SELECT 2") == 2) == 0
    connection.close()
