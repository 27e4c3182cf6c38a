"""Savepoints that a store begins for a job."""

from typing import Any

import pytest
from django.db import connection

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
