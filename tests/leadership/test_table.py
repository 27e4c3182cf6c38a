"""The rows of leases: one holder at a time, and a token that only grows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, connection, transaction

from hosting.exceptions import LeaseLost
from hosting.leadership.table import LeaseTable
from hosting.models import HostProcess, Lease, Limit
from hosting.queues.stores.clock import DatabaseNow, ago
from tests.host.helpers import until
from tests.leadership.conftest import give_back, outlive, row, take_away
from tests.queues.conftest import in_threads

__all__ = ["in_threads"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def one(transactional_db: None) -> LeaseTable:
    return LeaseTable("one")


@pytest.fixture
def two(one: LeaseTable) -> LeaseTable:
    """Another process; the lease "a" is there, and free."""
    one.look(["a"])
    return LeaseTable("two")


def test_a_look_makes_the_rows_that_are_missing(one: LeaseTable) -> None:
    rows, standing_by = one.look(["a", "b"])
    assert [(row.name, row.holder, row.left) for row in rows] == [("a", "", 0), ("b", "", 0)]
    assert standing_by == 0
    assert Lease.objects.count() == 2
    assert sorted(row.name for row in one.look(["a", "b"])[0]) == ["a", "b"]


def test_a_lease_has_one_holder_until_it_is_out_of_date(one: LeaseTable, two: LeaseTable) -> None:
    assert one.acquire("a", 60) == 1
    assert two.acquire("a", 60) is None
    [seen] = two.look(["a"])[0]
    assert seen.holder == "one"
    assert 50 < seen.left <= 60

    outlive()
    assert two.look(["a"])[0][0].left == 0
    assert two.acquire("a", 60) == 2
    assert one.acquire("a", 60) is None


def test_what_is_given_back_is_free_at_once_and_its_token_goes_on(
    one: LeaseTable, two: LeaseTable
) -> None:
    assert one.acquire("a", 60) == 1
    one.release("a", 1)
    assert two.look(["a"])[0][0].left == 0
    assert two.acquire("a", 60) == 2


def test_what_was_got_without_knowing_can_be_got_again(one: LeaseTable, two: LeaseTable) -> None:
    """The answer to the first was lost, for example."""
    one.acquire("a", 60)
    assert one.acquire("a", 60) == 2


def test_a_renewal_counts_from_now(one: LeaseTable, two: LeaseTable) -> None:
    token = one.acquire("a", 5)
    assert token
    assert not one.renew({"a": token}, 60)
    assert two.look(["a"])[0][0].left > 50


def test_who_has_lost_a_lease_can_neither_renew_nor_release_it(
    one: LeaseTable, two: LeaseTable
) -> None:
    token = one.acquire("a", 60)
    other = one.acquire("b", 60)
    assert token
    assert other is None  # nobody has looked for it, so there is no such lease
    one.look(["b"])
    other = one.acquire("b", 60)
    assert other
    outlive()
    assert two.acquire("a", 60)

    assert set(one.renew({"a": token, "b": other}, 60)) == {"a"}
    one.release("a", token)
    assert (row("a").holder, row("b").holder) == ("two", "one")


def test_one_of_many_gets_it(two: LeaseTable, in_threads: Callable[..., list[Any]]) -> None:
    for number in range(1, 6):
        tables = [LeaseTable(f"process {each}") for each in range(8)]
        tokens = in_threads(*(lambda table=table: table.acquire("a", 60) for table in tables))
        assert sorted(tokens, key=str) == [number, *([None] * 7)]
        give_back()


def test_those_that_stand_by_are_counted(one: LeaseTable, two: LeaseTable) -> None:
    for number, (is_standing_by, age) in enumerate([(True, 0), (True, 20), (True, 40), (False, 0)]):
        HostProcess.objects.create(
            id=str(number),
            pid=1,
            host_name="x",
            kind="web",
            is_standing_by=is_standing_by,
            started_at=DatabaseNow(),
            seen_at=ago(timedelta(seconds=age)),
        )
    assert one.look(["a"])[1] == 2


only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="elsewhere others wait for the commit"
)


class Commit:
    """A write under a lease that stands still between its last check and its commit."""

    def __init__(self) -> None:
        self.is_near, self.may_go_on = threading.Event(), threading.Event()

    def of(self, table: LeaseTable, token: int) -> None:
        with connection.execute_wrapper(self._stand_still):
            write_fenced(table, token, lambda: None)

    def _stand_still(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "FOR KEY SHARE" in sql:
            self.is_near.set()
            self.may_go_on.wait()
        return result


def _waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def write_fenced(table: LeaseTable, token: int, meanwhile: Callable[[], object]) -> None:
    """Write a row under the lease, and have something happen before that commits."""
    with table.fenced("a", token):
        Limit.objects.create(key="written")
        meanwhile()


class TestFenced:
    """Writes that are accepted only from the holder."""

    def test_who_has_the_lease_can_write(self, one: LeaseTable, two: LeaseTable) -> None:
        token = one.acquire("a", 60)
        assert token
        with one.fenced("a", token):
            Limit.objects.create(key="written")
        assert Limit.objects.count() == 1

    def test_who_has_lost_it_before_does_not_begin(self, one: LeaseTable, two: LeaseTable) -> None:
        token = one.acquire("a", 60)
        assert token
        take_away()
        with pytest.raises(LeaseLost, match="'a'"), one.fenced("a", token):
            pytest.fail("it has begun")

    @pytest.mark.skipif(
        connection.vendor == "sqlite", reason="nobody else can write during a transaction"
    )
    def test_who_loses_it_meanwhile_does_not_commit(
        self, one: LeaseTable, two: LeaseTable, in_threads: Callable[..., list[Any]]
    ) -> None:
        token = one.acquire("a", 60)
        assert token
        with pytest.raises(LeaseLost):
            write_fenced(one, token, lambda: in_threads(take_away))
        assert Limit.objects.count() == 0

    def test_it_is_a_transaction_of_its_own(self, one: LeaseTable, two: LeaseTable) -> None:
        token = one.acquire("a", 60)
        assert token
        # Not in one line with the next, which would be too long.
        with pytest.raises(RuntimeError, match=r"within a transaction .* allowed: outside"):  # noqa: SIM117
            with transaction.atomic():
                write_fenced(one, token, lambda: None)
        assert Limit.objects.count() == 0

    @only_postgresql
    def test_its_holder_can_renew_it_while_it_commits(
        self, two: LeaseTable, in_threads: Callable[..., list[Any]]
    ) -> None:
        one = LeaseTable("one")
        token = one.acquire("a", 60)
        assert token
        commit = Commit()

        def renew() -> list[str]:
            commit.is_near.wait()
            lost = one.renew({"a": token}, 3600)
            commit.may_go_on.set()
            return list(lost)

        in_threads(lambda: commit.of(one, token), renew)
        assert Limit.objects.count() == 1
        assert row().held_until > row().held_since + timedelta(minutes=30)

    @only_postgresql
    def test_who_is_taking_it_is_waited_for(
        self, one: LeaseTable, two: LeaseTable, in_threads: Callable[..., list[Any]]
    ) -> None:
        token = one.acquire("a", 60)
        assert token
        outlive()
        is_taken, waits = threading.Event(), threading.Event()

        def take() -> None:
            with transaction.atomic():
                assert two.acquire("a", 60)
                is_taken.set()
                until(lambda: waits.is_set() and _waits_for_a_lock())

        def write() -> None:
            def meanwhile() -> None:
                is_taken.wait()
                waits.set()

            with pytest.raises(LeaseLost):
                write_fenced(one, token, meanwhile)

        in_threads(take, write)
        assert Limit.objects.count() == 0

    @only_postgresql
    def test_who_falls_silent_before_the_commit_keeps_nobody_from_the_lease(
        self, two: LeaseTable, in_threads: Callable[..., list[Any]]
    ) -> None:
        one = LeaseTable("one", silence=0.2)
        token = one.acquire("a", 60)
        assert token
        outlive()
        commit = Commit()

        def write() -> None:
            with pytest.raises(Error):
                commit.of(one, token)

        def take() -> None:
            commit.is_near.wait()
            assert two.acquire("a", 60) is None  # and does not wait
            until(lambda: two.acquire("a", 60))
            commit.may_go_on.set()

        in_threads(write, take)
        assert row().holder == "two"
        assert Limit.objects.count() == 0

    def test_an_error_of_its_own_passes_through(self, one: LeaseTable, two: LeaseTable) -> None:
        token = one.acquire("a", 60)
        assert token
        with pytest.raises(ZeroDivisionError):
            write_fenced(one, token, lambda: 1 // 0)
        assert Limit.objects.count() == 0
