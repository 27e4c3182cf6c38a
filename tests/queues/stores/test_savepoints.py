"""Savepoints that a store begins for a job."""

from typing import Any

import pytest
from django.db import connection
from psycopg import IsolationLevel

from hosting.queues.stores import store_for

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="is about psycopg"),
]


def test_they_are_waited_for_as_psycopg_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which leaves other greenlets their turn, and hears Ctrl-C while the server is silent."""
    waited: list[str] = []
    store = store_for("default")
    with store.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # which begins the transaction
        driver: Any = connection.connection
        wait = driver.wait

        def note(*given: Any, **options: Any) -> Any:
            waited.append("")
            return wait(*given, **options)

        monkeypatch.setattr(driver, "wait", note)
        store.savepoint()
        assert len(waited) == 1


@pytest.mark.parametrize("late", [True, False])
def test_the_transaction_that_begins_with_one_is_as_the_connection_has_it(late: bool) -> None:
    store = store_for("default")
    connection.ensure_connection()
    driver: Any = connection.connection
    driver.isolation_level, driver.read_only = IsolationLevel.REPEATABLE_READ, True
    try:
        with store.atomic(), connection.cursor() as cursor:
            store.savepoint(late=late)
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == ("repeatable read",)
            cursor.execute("SHOW transaction_read_only")
            assert cursor.fetchone() == ("on",)
    finally:
        connection.close()


@pytest.mark.parametrize("late", [True, False])
def test_what_follows_one_that_begins_a_transaction_can_be_taken_back(late: bool) -> None:
    store = store_for("default")
    with store.atomic(), connection.cursor() as cursor:
        name = store.savepoint(late=late)
        cursor.execute("CREATE TABLE taken_back (id int)")
        connection.savepoint_rollback(name)
        cursor.execute("SELECT to_regclass('taken_back')")
        assert cursor.fetchone() == (None,)
