"""What waits until PostgreSQL has written it to the disk: all but what a crash may well undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction

from hosting.queues.stores.base import Store
from hosting.queues.stores.statements.shared import JOB
from tests.queues.stores.steps import (
    add,
    claim_one,
    keeps_places,
    new_job,
    settle,
    settlement,
    wanted,
)

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")

NOTE_AT_COMMIT = f"""
    CREATE TABLE noted (setting text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO noted VALUES (current_setting('synchronous_commit'));
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {JOB}
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
"""

Noted = Callable[[], set[str]]


@pytest.fixture
def noted(transactional_db: None) -> Iterator[Noted]:
    """What `synchronous_commit` was when changes of jobs were committed, since the last time."""

    def take() -> set[str]:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM noted RETURNING setting")
            return {setting for (setting,) in cursor.fetchall()}

    with connection.cursor() as cursor:
        cursor.execute(NOTE_AT_COMMIT)
    yield take
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER note ON {JOB}; DROP FUNCTION note; DROP TABLE noted")


def test_a_claim_does_not_wait_for_the_disk(store: Store, noted: Noted) -> None:
    if not keeps_places(store):
        pytest.skip("The generic store knows nothing of that.")
    add(store)
    noted()

    assert store.claim(wanted(may_be_lost=True))

    assert noted() == {"off"}
    assert setting_of_the_session() == "on"


def test_a_claim_that_must_not_be_lost_is_written(store: Store, noted: Noted) -> None:
    add(store)
    noted()

    claim_one(store)

    assert noted() == {"on"}


def test_what_is_added_or_has_ended_is_written(store: Store, noted: Noted) -> None:
    add(store)
    store.add_one(new_job(), lambda: None)
    store.add_many([new_job(), new_job()])
    assert noted() == {"on"}

    claims = store.claim(wanted())
    noted()
    assert settle(store, claims[0])
    assert noted() == {"on"}
    assert not store.release(claims[1:], begun=True).refused
    assert noted() == {"on"}


def test_a_claim_that_settles_is_written(store: Store, noted: Noted) -> None:
    add(store)
    first = claim_one(store)
    add(store)
    noted()

    done = store.exchange([settlement(first)], wanted(may_be_lost=True))

    assert len(done.claims) == 1
    assert noted() == {"on"}


def test_somebody_elses_transaction_is_written(store: Store, noted: Noted) -> None:
    add(store)
    noted()

    with transaction.atomic():
        assert store.claim(wanted(may_be_lost=True))

    assert noted() == {"on"}


def setting_of_the_session() -> str:
    """What holds for the session."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return str(cursor.fetchone()[0])
