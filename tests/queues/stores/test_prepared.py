"""Statements that PostgreSQL prepares, for who has said that its connections keep their session."""

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from tests.queues.stores.steps import add, claim, ids

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")


@pytest.fixture
def prepared() -> Iterator[Store]:
    """A store whose statements are prepared when they are executed for the second time."""
    options = connection.settings_dict["OPTIONS"]
    before = dict(options)
    connection.close()
    options["prepare_threshold"] = 1
    yield store_for("default")
    connection.close()
    options.clear()
    options.update(before)


def prepared_statements() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [" ".join(row[0].split()) for row in cursor.fetchall()]


def inserts() -> int:
    """How many statements that add a job are prepared."""
    return sum(text.startswith("INSERT INTO") for text in prepared_statements())


def test_a_statement_is_prepared_once_it_was_executed_often_enough(prepared: Store) -> None:
    add(prepared)
    assert inserts() == 0
    added = [add(prepared), add(prepared)]
    assert inserts() == 1
    claim(prepared, limit=1)
    assert ids(claim(prepared, limit=1)) == added[:1]
    assert ids(claim(prepared, limit=1)) == added[1:]
    assert any("FOR UPDATE SKIP LOCKED" in text for text in prepared_statements())


def test_nothing_is_prepared_unless_it_was_asked_for() -> None:
    store = store_for("default")
    for _ in range(8):
        add(store)
        claim(store)
    assert connection.settings_dict["OPTIONS"].get("prepare_threshold") is not None or (
        prepared_statements() == []
    )


@pytest.mark.parametrize("statement", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_a_session_that_forgets_what_was_prepared_loses_no_job(
    prepared: Store, statement: str
) -> None:
    added = [add(prepared) for _ in range(3)]
    with connection.cursor() as cursor:
        cursor.execute(statement)
    added += [add(prepared) for _ in range(3)]
    assert ids(claim(prepared, limit=10)) == added
    assert inserts() == 1


def test_a_transaction_does_not_rely_on_what_was_prepared_before_it(prepared: Store) -> None:
    added = [add(prepared) for _ in range(3)]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")
        added.append(add(prepared))
    assert ids(claim(prepared, limit=10)) == added


def test_a_rollback_makes_psycopg_forget_and_the_queue_go_on(prepared: Store) -> None:
    added = []
    for _ in range(4):
        added.append(add(prepared))
        claim(prepared, backend="other")
        with transaction.atomic():
            add(prepared)
            transaction.set_rollback(True)
    assert ids(claim(prepared, limit=10)) == added
