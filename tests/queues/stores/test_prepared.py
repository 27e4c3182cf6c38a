"""Statements that PostgreSQL prepares, for who has said that its connections keep their session."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
from django.db import connection, transaction

from hosting.models import Job, JobResult
from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.statements.shared import JOB
from tests.queues.stores.steps import (
    add,
    claim,
    claim_one,
    ids,
    new_job,
    settlement,
    wanted,
)

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


def forget_unnoticed() -> None:
    """Have the session forget what is prepared without psycopg's notice."""
    with connection.cursor() as cursor:
        cursor.execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")


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


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "in a transaction"])
def test_a_session_that_forgets_what_was_prepared_unnoticed_loses_no_job(
    prepared: Store, is_alone: bool
) -> None:
    for _ in range(3):
        add(prepared)
        prepared.add_many([new_job()])
        claim(prepared)
    forget_unnoticed()
    with nullcontext() if is_alone else transaction.atomic():
        added = [add(prepared), add(prepared)]
        more = [new_job(), new_job()]
        prepared.add_many(more)
    assert set(ids(claim(prepared))) == {*added, *(job.id for job in more)}


def test_only_what_is_alone_is_prepared(prepared: Store) -> None:
    with transaction.atomic():
        for _ in range(3):
            add(prepared)
            prepared.add_many([new_job()])
            claim(prepared)
    assert not any(JOB in text for text in prepared_statements())


@pytest.fixture
def altered() -> Iterator[Callable[[], None]]:
    """Gives a column that is claimed another type, as a migration in another process would."""
    alter = "ALTER TABLE hosting_job ALTER COLUMN task_path TYPE varchar(%d)"

    def change() -> None:
        # Past psycopg, which forgets what it has prepared if it sees ALTER.
        connection.connection.pgconn.exec_((alter % 300).encode())

    yield change
    with connection.cursor() as cursor:
        cursor.execute(alter % Job._meta.get_field("task_path").max_length)


def test_a_migration_in_between_keeps_nobody_from_claiming(
    prepared: Store, altered: Callable[[], None]
) -> None:
    added = [add(prepared) for _ in range(6)]
    claims = [claim_one(prepared, limit=1) for _ in range(3)]
    for each in claims[:2]:
        prepared.exchange([settlement(each)], wanted(1, backend="other"))

    altered()
    done = prepared.exchange([settlement(claims[2])], wanted(1, backend="other"))

    assert not done.refused
    assert JobResult.objects.filter(status="SUCCESSFUL").count() == 3
    assert ids([claim_one(prepared, limit=1) for _ in range(3)]) == added[3:]


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
