"""Jobs as they are written."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from hosting.compat import TaskResultStatus
from hosting.models import Job, Limit
from hosting.queues.stores import libpq
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import HEAD, LimitRule
from tests.queues.stores.steps import (
    BLOCKED,
    HOUR,
    READY,
    WAITING,
    add,
    claim,
    claim_one,
    ids,
    is_about,
    new_job,
    one_at_a_time,
    record_of,
    settle,
    state_of,
    states,
)

ODD = ["\x00", "\ud800", "ä\u2028", "quote \" ' \\", "100 % {} %s", "{a,b}", "NULL", "", None, 1.5]
MOMENTS = {"enqueued_at", "due_at", "expires_at", "id"}


def test_what_is_added_is_returned_and_kept(store: Store) -> None:
    new = new_job(
        queue_name="mail",
        priority=-7,
        args=json.dumps(ODD),
        kwargs='{"a": {"b": [true]}}',
        options='{"timeout": 3}',
    )

    [record] = store.add([new])

    assert record == record_of(store, new.id)
    assert record.args == ODD
    assert record.kwargs == {"a": {"b": [True]}}
    assert record.options == '{"timeout": 3}'
    assert (record.backend, record.queue_name, record.priority) == ("default", "mail", -7)
    assert record.status == TaskResultStatus.READY
    assert is_about(record.enqueued_at, timezone.now())
    assert (record.started_at, record.last_attempted_at, record.finished_at) == (None,) * 3
    assert (record.errors, record.worker_ids, record.fence, record.progress) == ((), (), 0, "")
    assert (record.run_after, record.return_value, record.damage) == (None, None, None)


@pytest.mark.parametrize(
    "values",
    [{}, {"run_after": timezone.now() + HOUR}, {"expires_in": 60.0}, {"is_held": True}],
    ids=["due", "later", "expiring", "held"],
)
def test_one_is_added_while_something_else_is_done(store: Store, values: dict[str, Any]) -> None:
    done: list[str] = []
    job = new_job(**values)

    moment = store.add_one(job, lambda: done.append("it"))

    assert done
    assert moment == record_of(store, job.id).enqueued_at


def test_what_is_done_meanwhile_may_fail(store: Store) -> None:
    job = new_job()
    with pytest.raises(ZeroDivisionError):
        store.add_one(job, lambda: 1 / 0)

    other = add(store)  # the connection is in order, whether that one was added or not

    assert other in ids(claim(store))


def test_a_batch_is_returned_in_its_order(store: Store) -> None:
    jobs = [new_job(priority=priority) for priority in (3, 1, 2)]

    assert [record.id for record in store.add(jobs)] == [job.id for job in jobs]
    assert store.add([]) == []


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({}, READY),
        ({"run_after": -HOUR}, READY),
        ({"run_after": HOUR}, WAITING),
        ({"limit": one_at_a_time()}, BLOCKED),
        ({"limit": one_at_a_time(), "run_after": -HOUR}, BLOCKED),
        ({"limit": one_at_a_time(), "run_after": HOUR}, WAITING),
    ],
)
def test_a_job_waits_for_its_time_then_for_its_limit(
    store: Store, values: dict[str, Any], state: str
) -> None:
    if "run_after" in values:
        values = {**values, "run_after": timezone.now() + values["run_after"]}
    [record] = store.add([new_job(**values)])

    row = Job.objects.get(id=record.id)
    assert row.state == state
    assert row.due_at == (values.get("run_after") or row.enqueued_at)
    assert record.status == TaskResultStatus.READY
    assert record.run_after == values.get("run_after")
    assert record == record_of(store, record.id)


def test_an_id_is_taken_once(store: Store) -> None:
    new = new_job()
    store.add([new])

    with pytest.raises(IntegrityError):
        store.add([new])
    with pytest.raises(IntegrityError):
        store.add([new_job(id=new.id, unique_key="u")])
    with pytest.raises(IntegrityError):
        store.add_many([new_job(), new])
    assert Job.objects.count() == 1


def test_a_batch_is_added_whole_or_not_at_all(store: Store) -> None:
    taken = new_job()
    store.add([taken])

    with pytest.raises(IntegrityError):
        store.add([new_job(), taken])
    with pytest.raises(IntegrityError):
        store.add([new_job(), new_job(unique_key="u"), taken])
    assert Job.objects.count() == 1


# Many


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"run_after": -HOUR},
        {"run_after": HOUR},
        {"expires_in": 7200.0},
        {"limit": LimitRule(key="k", running=3, count=5, period=60.0), "run_after": HOUR},
        {"limit": one_at_a_time(), "backend": "other", "queue_name": "mail", "priority": 9},
        {"options": '{"timeout": 3}', "args": json.dumps(ODD), "kwargs": json.dumps({"a": ODD})},
    ],
)
def test_many_are_added_as_one_is(store: Store, values: dict[str, Any]) -> None:
    if "run_after" in values:
        values = {**values, "run_after": timezone.now() + values["run_after"]}
    one, *many = (new_job(**values) for _ in range(4))

    store.add([one])
    rule = Limit.objects.values().first()
    Limit.objects.all().delete()
    store.add_many(many)

    rows = {row["id"]: row for row in Job.objects.values()}
    assert rows.keys() == {job.id for job in (one, *many)}
    expected = rows[one.id]
    for job in many:
        row = rows[job.id]
        assert {**row, **dict.fromkeys(MOMENTS)} == {**expected, **dict.fromkeys(MOMENTS)}
        for name in MOMENTS - {"id"}:
            moments = row[name], expected[name]
            assert moments == (None, None) or is_about(*moments)
        assert record_of(store, job.id).args == record_of(store, one.id).args
    assert Limit.objects.values().first() == rule


def test_each_of_many_keeps_its_own_arguments(store: Store) -> None:
    jobs = [new_job(args=json.dumps([value]), kwargs=json.dumps({"v": value})) for value in ODD]

    store.add_many(jobs)

    records = store.get([job.id for job in jobs])
    assert [records[job.id].args for job in jobs] == [[value] for value in ODD]
    assert [records[job.id].kwargs for job in jobs] == [{"v": value} for value in ODD]
    assert ids(claim(store)) == [job.id for job in jobs]


def test_many_may_be_none(store: Store) -> None:
    store.add_many([])

    assert Job.objects.count() == 0


# Transactions and clocks


@pytest.mark.parametrize("values", [{}, {"unique_key": "u"}, {"limit": one_at_a_time()}])
def test_a_job_is_rolled_back_with_its_transaction(store: Store, values: dict[str, Any]) -> None:
    with transaction.atomic():
        add(store, **values)
        transaction.set_rollback(True)
    assert Job.objects.count() == 0

    assert state_of(add(store, **values)) is not None


def test_many_are_rolled_back_with_their_transaction(store: Store) -> None:
    with transaction.atomic():
        store.add_many([new_job() for _ in range(3)])
        transaction.set_rollback(True)

    assert Job.objects.count() == 0


def test_a_job_cannot_be_claimed_before_its_transaction_commits(
    store: Store, in_threads: Callable[..., list[Any]]
) -> None:
    with transaction.atomic():
        job = add(store)
        # On SQLite this also shows that looking at an empty queue waits for no writer.
        if connection.vendor == "postgresql" or "SQLite" in type(store).__name__:
            assert [len(found) for found in in_threads(lambda: claim(store))] == [0]

    assert [ids(claims) for claims in in_threads(lambda: claim(store))] == [[job]]


def test_moments_are_of_the_statement_and_not_of_the_transaction(store: Store) -> None:
    with transaction.atomic():
        first = store.add([new_job()])[0].enqueued_at
        second = store.add([new_job()])[0].enqueued_at

    assert second > first if connection.vendor == "postgresql" else second >= first


def test_local_times_without_a_zone(store: Store, settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Asia/Tokyo"  # nine hours ahead of the database's own clock
    now = datetime.now()
    past, future = now - timedelta(minutes=1), now + timedelta(minutes=1)

    at_once, due, early = (store.add([new_job(run_after=at)])[0] for at in (None, past, future))
    store.add_many([new_job(run_after=future, queue_name="many")])

    assert states([each.id for each in (at_once, due, early)]) == [READY, READY, WAITING]
    assert [each.run_after for each in (at_once, due, early)] == [None, past, future]
    assert at_once.enqueued_at.tzinfo is None
    assert is_about(at_once.enqueued_at, now)
    assert store.look("default", ["default"], HEAD).seconds_until_due == pytest.approx(60, abs=50)
    claims = claim(store)
    assert ids(claims) == [due.id, at_once.id]
    for each in claims:
        assert each.record == record_of(store, each.id)
        assert settle(store, each)
    ended = record_of(store, due.id)
    assert ended.finished_at is not None
    assert is_about(ended.finished_at, now)
    Job.objects.filter(id=early.id).update(due_at=past)
    assert store.upkeep.promote() == 1
    assert claim_one(store).record.started_at is not None


def test_an_expired_job_is_claimed_as_such(store: Store) -> None:
    expired, in_time = add(store, expires_in=-1.0), add(store, expires_in=3600.0)
    forever = add(store)
    store.add_many([new_job(expires_in=-1.0)])

    assert [each.is_expired for each in claim(store, limit=3)] == [True, False, False]
    assert claim_one(store).is_expired
    expires = dict(Job.objects.values_list("id", "expires_at"))
    assert is_about(expires[in_time], timezone.now() + HOUR)
    assert is_about(expires[expired], timezone.now())
    assert expires[forever] is None


def test_some_with_keys_and_some_without(store: Store) -> None:
    first = add(store, unique_key="u")
    jobs = [new_job(), new_job(unique_key="u"), new_job(limit=one_at_a_time()), new_job()]

    records = store.add(jobs)

    assert [record.id for record in records] == [jobs[0].id, first, jobs[2].id, jobs[3].id]
    assert Job.objects.count() == 4


# Who watches statements


def test_what_the_database_refuses_is_told_as_ever(store: Store) -> None:
    job = new_job()
    store.add([job])

    with pytest.raises(IntegrityError):
        store.add([job])
    with pytest.raises(IntegrityError), transaction.atomic():
        store.add([job])
    assert ids(claim(store)) == [job.id]


class Name(str, Enum):  # noqa: UP042 - as projects have them that began before StrEnum
    MAIL = "mail"


def test_a_name_may_be_a_member_of_an_enumeration(store: Store) -> None:
    for job in (add(store, queue_name=Name.MAIL), add(store, queue_name="mail")):
        assert Job.objects.get(id=job).queue_name == "mail"


def test_a_text_is_refused_that_would_be_cut_off(store: Store) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("Other databases keep such texts.")

    with pytest.raises((DataError, ValueError)):
        add(store, queue_name="mail\x00news")
    assert not Job.objects.exists()


@pytest.mark.parametrize("comes_first", [True, False])
def test_what_is_written_in_a_transaction_goes_with_it(store: Store, comes_first: bool) -> None:
    with suppress(ZeroDivisionError), transaction.atomic():
        if not comes_first:
            assert not Job.objects.exists()
        add(store)
        add(store)
        assert Job.objects.count() == 2
        raise ZeroDivisionError
    assert not Job.objects.exists()


def test_a_wrapper_of_statements_sees_what_is_written(store: Store) -> None:
    """As a test that forbids a database, or a tracer, wraps what Django's cursors execute."""
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        add(store)
    assert any("INSERT INTO" in sql and "hosting_job" in sql for sql in seen)


def test_nothing_is_written_in_a_transaction_that_is_broken(store: Store) -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            add(store)
    assert not Job.objects.exists()


class Interrupted(BaseException):
    """As Ctrl-C."""


@pytest.mark.skipif(connection.vendor != "postgresql", reason="is about psycopg")
@pytest.mark.usefixtures("transactional_db")
def test_what_is_raised_while_the_database_works_is_not_lost_in_what_that_raises() -> None:
    def interrupt() -> None:
        raise Interrupted

    connection.ensure_connection()
    with pytest.raises(Interrupted):
        libpq.ask(connection.connection, b"SELECT 1 / 0", [], interrupt)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
