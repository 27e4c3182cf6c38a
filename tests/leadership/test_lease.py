"""A lease in the hands of its holder: what it writes, and for how long it waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection

from hosting.clock import elapsed
from hosting.exceptions import LeaseLost
from hosting.leadership.lease import HeldLease
from hosting.leadership.table import LeaseTable
from hosting.models import Limit
from tests.queues.conftest import in_threads

__all__ = ["in_threads"]

pytestmark = pytest.mark.django_db(transaction=True)

#: Statements that do not end by themselves; the one for SQLite says when it runs.
ENDLESS = {
    "postgresql": "SELECT pg_sleep(600)",
    "sqlite": "WITH RECURSIVE one AS (SELECT began() UNION ALL SELECT 1 FROM one)"
    " SELECT count(*) FROM one",
}


@pytest.fixture
def lease(transactional_db: None) -> HeldLease:
    """Held for an hour."""
    table = LeaseTable("one")
    table.look(["a"])
    token = table.acquire("a", 3600)
    assert token
    return HeldLease(table, "a", token, elapsed() + 3600)


def end_others() -> None:
    """End what the server still does for those who have hung up, which it does not see."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def test_the_holder_writes(lease: HeldLease) -> None:
    with lease.fenced():
        Limit.objects.create(key="written")
    assert Limit.objects.count() == 1


def test_who_knows_that_it_is_lost_does_not_begin(lease: HeldLease) -> None:
    lease.lose("it is over")
    with pytest.raises(LeaseLost, match="'a'"), lease.fenced():
        pytest.fail("it has begun")


def write_and_hang(began: Callable[[], None]) -> None:
    """Write a row, and have a statement that does not end."""
    Limit.objects.create(key="written")
    if connection.vendor == "sqlite":
        connection.connection.create_function("began", 0, began)
    else:  # a connection that is hung up is so for what comes, too
        began()
    with connection.cursor() as cursor:
        cursor.execute(ENDLESS[connection.vendor])


@pytest.mark.skipif(connection.vendor not in ENDLESS, reason="this database hangs nobody up")
def test_who_waits_for_the_database_does_so_no_longer_than_it_holds_the_lease(
    lease: HeldLease, in_threads: Callable[..., list[Any]]
) -> None:
    began = threading.Event()

    def write() -> str:
        with pytest.raises(LeaseLost) as caught, lease.fenced():
            write_and_hang(began.set)
        assert isinstance(caught.value.__cause__, OperationalError)
        return "ended"

    def lose() -> str:
        began.wait()
        lease.lose("it is over")
        return "lost"

    assert in_threads(write, lose) == ["ended", "lost"]
    end_others()
    assert Limit.objects.count() == 0
