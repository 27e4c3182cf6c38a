"""Attempts that are settled at the end of the transaction in which their jobs have written."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, connections, transaction
from django.db.backends.postgresql.base import Cursor
from django.db.transaction import TransactionManagementError

from hosting.compat import TaskResultStatus
from hosting.models import Job, JobResult
from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.postgresql import PostgreSQLStore
from hosting.queues.stores.values import Claim, Exchange, Failed, Retry, Succeeded
from tests.queues.checking import check_at_the_commit
from tests.queues.stores.steps import (
    BROKEN,
    WAITING,
    add,
    add_some,
    claim,
    claim_one,
    ids,
    record_of,
    settle,
    settlement,
    state_of,
)


class Undone(Exception):
    """Takes a transaction back."""


def undone(store: Store, claims: Sequence[Claim]) -> Exchange:
    """What settling these gives, in a transaction that is then taken back."""
    done = Exchange()
    with suppress(Undone), store.atomic():
        add(store)
        done = store.settle_last([settlement(each) for each in claims])
        raise Undone
    return done


def settle_with(store: Store, claimed: Claim, statement: str) -> None:
    with store.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        store.settle_last([settlement(claimed)])


def seen_by_others() -> set[Any]:
    """The ids of the results that another session sees."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT id FROM hosting_jobresult")
            return {row[0] for row in cursor.fetchall()}
    finally:
        other.close()


def test_it_ends_with_what_was_written_before(store: Store) -> None:
    jobs = add_some(store, 3)
    claims = claim(store)
    told: list[str] = []

    with store.atomic():
        written = add(store)
        transaction.on_commit(lambda: told.append("committed"))
        done = store.settle_last([settlement(each) for each in claims])

    assert told == ["committed"]
    assert ids(claim(store)) == [written]
    assert {record_of(store, job).finished_at for job in jobs} == {done.moment}
    assert not done.refused


def test_every_text_is_kept_as_it_is(store: Store) -> None:
    text = '{"a": [1, "100 %s %% \\"\\\\ \\u0000 ä \'{}\'; COMMIT"]}'
    good, bad = add_some(store, 2)
    first, second = claim(store)

    with store.atomic():
        store.settle_last(
            [settlement(first, Succeeded(text), '"ä\\\\"'), settlement(second, Failed(BROKEN))]
        )

    value = {"a": [1, "100 %s %% \"\\ \x00 ä '{}'; COMMIT"]}
    assert record_of(store, good).return_value == value
    assert record_of(store, good).progress == '"ä\\\\"'
    assert record_of(store, bad).status == TaskResultStatus.FAILED
    assert record_of(store, bad).errors == (BROKEN,)


def test_claims_that_were_lost_are_named_and_nothing_is_kept(store: Store) -> None:
    add_some(store, 4)
    lost = claim(store, limit=2)
    store.release(lost, begun=True)
    kept = [each for each in claim(store) if each.id not in ids(lost)]

    done = undone(store, [kept[0], *lost, kept[1]])
    assert done.refused == set(ids(lost))
    assert not JobResult.objects.exists()
    assert Job.objects.count() == 4
    assert all(settle(store, each) for each in kept)


def test_in_a_transaction_of_somebody_else_it_is_theirs_to_commit(store: Store) -> None:
    add(store)
    claimed = claim_one(store)

    with transaction.atomic():
        with store.atomic():
            add(store)
            store.settle_last([settlement(claimed)])
        transaction.set_rollback(True)

    assert not JobResult.objects.exists()
    assert settle(store, claimed)


def test_a_transaction_that_is_to_be_taken_back_is(store: Store) -> None:
    add(store)
    claimed = claim_one(store)

    with store.atomic():
        add(store)
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            store.settle_last([settlement(claimed)])

    assert settle(store, claimed)
    assert Job.objects.count() == 0


def test_after_a_savepoint_in_which_nothing_was_done(store: Store) -> None:
    job = add(store)
    claimed = claim_one(store)

    with store.atomic():
        written = add(store)
        store.savepoint(late=True)
        store.settle_last([settlement(claimed)])

    assert ids(claim(store)) == [written]
    assert record_of(store, job).status == TaskResultStatus.SUCCESSFUL


def test_with_one_that_is_to_run_again(store: Store) -> None:
    again, ended = add_some(store, 2)
    first, second = claim(store)

    with store.atomic():
        written = add(store)
        store.settle_last([settlement(first, Retry(BROKEN, 0.0)), settlement(second)])

    assert ids(claim(store)) == [written]
    assert state_of(again) == WAITING
    assert record_of(store, ended).status == TaskResultStatus.SUCCESSFUL


def test_of_nothing(store: Store) -> None:
    with store.atomic():
        written = add(store)
        assert store.settle_last([]) == Exchange()

    assert ids(claim(store)) == [written]


@pytest.fixture
def of_postgresql(transactional_db: None) -> PostgreSQLStore:
    store = store_for("default")
    if not isinstance(store, PostgreSQLStore):
        pytest.skip("of PostgreSQL")
    return store


def test_postgresql_commits_in_the_same_step(of_postgresql: Store) -> None:
    job = add(of_postgresql)
    claimed = claim_one(of_postgresql)

    with of_postgresql.atomic():
        Job.objects.exists()  # which begins the transaction
        of_postgresql.settle_last([settlement(claimed)])
        assert seen_by_others() == {job}

    assert connection.get_autocommit()


def test_a_transaction_of_jobs_that_do_nothing_takes_two_round_trips(
    of_postgresql: Store, tmp_path: Path
) -> None:
    add_some(of_postgresql, 3)
    claims = claim(of_postgresql)
    driver: Any = connection.connection

    with (tmp_path / "messages").open("wb") as file:
        driver.pgconn.trace(file.fileno())
        with of_postgresql.atomic():
            for _ in claims:
                of_postgresql.leave_savepoint(of_postgresql.savepoint(late=True))
            of_postgresql.settle_last([settlement(each) for each in claims])
        driver.pgconn.untrace()

    sent = re.findall(r"\tF\t\d+\t(\w+)", (tmp_path / "messages").read_text())
    assert [each for each in sent if each in ("Query", "Sync")] == ["Query", "Sync"]
    assert JobResult.objects.count() == 3


def test_a_transaction_of_which_a_claim_was_lost_can_only_be_taken_back(
    of_postgresql: Store,
) -> None:
    add(of_postgresql)
    lost = claim_one(of_postgresql)
    of_postgresql.release([lost], begun=True)

    told: list[str] = []

    with of_postgresql.atomic():
        add(of_postgresql)
        transaction.on_commit(lambda: told.append("committed"))
        assert of_postgresql.settle_last([settlement(lost)]).refused == {lost.id}

    assert Job.objects.count() == 1
    assert told == []


@pytest.mark.parametrize("text", ["refused by hosting: {id}", "refused by hosting: " + "-" * 36])
def test_what_a_trigger_of_the_commit_fails_with_is_no_refusal(
    of_postgresql: Store, text: str
) -> None:
    job = add(of_postgresql)
    claimed = claim_one(of_postgresql)
    check_at_the_commit("PERFORM NEW.what::integer")

    with pytest.raises(DataError):
        settle_with(of_postgresql, claimed, f"INSERT INTO checked VALUES ('{text.format(id=job)}')")

    assert settle(of_postgresql, claimed)


def test_no_value_is_a_part_of_the_statement_which_an_error_has_the_server_write_to_its_log(
    of_postgresql: Store, tmp_path: Path
) -> None:
    add(of_postgresql)
    claimed = claim_one(of_postgresql)
    driver: Any = connection.connection

    with (tmp_path / "messages").open("wb") as file, of_postgresql.atomic():
        Job.objects.exists()
        driver.pgconn.trace(file.fileno())
        of_postgresql.settle_last([settlement(claimed, Succeeded('"a secret"'))])
        driver.pgconn.untrace()

    messages = re.split(r"\tF\t\d+\t", (tmp_path / "messages").read_text())
    assert [each.split()[0] for each in messages if "a secret" in each] == ["Bind"]


class Noting(Cursor):  # type: ignore[misc]  # the stubs know little of it
    """A cursor of somebody who notes what is executed."""

    noted: list[str] = []

    def execute(self, query: Any, *given: Any, **options: Any) -> Any:
        self.noted.append(str(query))
        return super().execute(query, *given, **options)


def test_who_notes_what_is_executed_sees_it(
    of_postgresql: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(of_postgresql)
    claimed = claim_one(of_postgresql)
    monkeypatch.setattr(connection.connection, "cursor_factory", Noting)
    Noting.noted.clear()

    settle_with(of_postgresql, claimed, "SELECT 1")

    assert any("DELETE FROM" in text for text in Noting.noted)


def test_who_commits_in_their_own_way_does(
    of_postgresql: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(of_postgresql)
    claimed = claim_one(of_postgresql)
    seen: list[set[Any]] = []

    real: Any = connections["default"]

    def commit() -> None:
        seen.append(seen_by_others())
        type(real).commit(real)

    monkeypatch.setattr(real, "commit", commit)

    settle_with(of_postgresql, claimed, "SELECT 1")

    assert seen == [set()]


def test_who_watches_the_statements_sees_all_of_them(
    of_postgresql: Store, django_assert_num_queries: Callable[..., Any]
) -> None:
    add(of_postgresql)
    claimed = claim_one(of_postgresql)

    with django_assert_num_queries(4, info="BEGIN, two, COMMIT"), of_postgresql.atomic():
        Job.objects.exists()
        of_postgresql.settle_last([settlement(claimed)])


def test_without_autocommit_it_is_left_to_who_has_switched_it_off(
    of_postgresql: Store,
) -> None:
    add(of_postgresql)
    claimed = claim_one(of_postgresql)

    transaction.set_autocommit(False)
    try:
        with of_postgresql.atomic():
            add(of_postgresql)
            of_postgresql.settle_last([settlement(claimed)])
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)

    assert settle(of_postgresql, claimed)
    assert Job.objects.count() == 0


def test_a_constraint_that_is_checked_at_the_commit_is(of_postgresql: Store) -> None:
    add(of_postgresql)
    claimed = claim_one(of_postgresql)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

    with pytest.raises(IntegrityError, match="late_id_key"):
        settle_with(of_postgresql, claimed, "INSERT INTO late VALUES (1), (1)")

    assert settle(of_postgresql, claimed)
