"""What waits until PostgreSQL has written it to the disk: all but what a crash may well undo."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from hosting.queues.stores.base import Store
from tests.queues.stores.steps import add, claim, claim_one, keeps_places, settle, settlement, wanted

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")


def is_written() -> bool:
    """Whether everything that was committed is out of the memory of PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()")
        return bool(cursor.fetchone()[0])


def synchronous_commit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        return str(cursor.fetchone()[0])


def test_a_claim_does_not_wait_for_the_disk(store: Store) -> None:
    if not keeps_places(store):
        pytest.skip("The generic store knows nothing of that.")
    seen = []
    for _ in range(20):  # the server writes now and then by itself
        add(store)
        claim_one(store)
        seen.append(is_written())

    assert False in seen
    assert synchronous_commit() == "on"


def test_what_is_added_or_has_ended_is_written(store: Store) -> None:
    for _ in range(5):
        add(store)
        assert is_written()
        claimed = claim_one(store)
        assert settle(store, claimed)
        assert is_written()


def test_a_claim_that_settles_is_written(store: Store) -> None:
    add(store)
    for _ in range(5):
        add(store)
        claims = claim(store, limit=1)
        done = store.exchange([settlement(each) for each in claims], wanted(limit=1))
        assert not done.refused
        assert is_written()
        assert store.release(done.claims, begun=False) is not None


def test_somebody_elses_transaction_is_written(store: Store) -> None:
    add(store)
    with transaction.atomic():
        assert claim_one(store)
        assert synchronous_commit() == "on"
    assert is_written()
