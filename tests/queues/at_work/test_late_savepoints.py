"""Whatever an atomic job does first with its connection, its savepoint begins before that."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import ProgrammingError, connection
from psycopg import sql

from hosting import task
from hosting.compat import TaskResultStatus
from hosting.models import Job, JobResult
from tests.queues.at_work import atomic_tasks
from tests.queues.at_work.conftest import Groups
from tests.queues.at_work.facts import effects, ended, error_names
from tests.queues.at_work.tasks import Mistake
from tests.queues.conftest import RunningWorker, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("effect_table"),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="is about the driver's ways"),
]

INSERT = "INSERT INTO at_work_effect (what) VALUES ('bad')"
INSERT_GIVEN = "INSERT INTO at_work_effect (what) VALUES (%s)"


def driver() -> Any:
    return connection.connection


def by_django() -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT_GIVEN, ["bad"])
        assert cursor.rowcount == 1


def by_django_with_rows() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"{INSERT_GIVEN} RETURNING what, 'a;b'", ["b%d"])
        assert cursor.fetchall() == [("b%d", "a;b")]


def without_parameters() -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT)


def after_what_cannot_be_adapted() -> None:
    with connection.cursor() as cursor, suppress(ProgrammingError):
        cursor.execute(INSERT_GIVEN, [object()])
    by_django()


def by_many() -> None:
    with connection.cursor() as cursor:
        cursor.executemany(INSERT_GIVEN, [["bad"], ["worse"]])


def by_two_in_one_text() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"{INSERT} RETURNING what; SELECT 2")
        assert cursor.fetchall() == [("bad",)]
        assert cursor.nextset()
        assert cursor.fetchall() == [(2,)]


def by_composed() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("INSERT INTO {} VALUES ('bad')").format(sql.Identifier("at_work_effect"))
        )


def by_copy() -> None:
    with driver().cursor() as cursor, cursor.copy("COPY at_work_effect (what) FROM STDIN") as copy:
        copy.write_row(["bad"])


def by_stream() -> None:
    with driver().cursor() as cursor:
        assert list(cursor.stream(f"{INSERT} RETURNING what")) == [("bad",)]


def by_the_driver() -> None:
    driver().execute(INSERT)


def in_the_drivers_transaction() -> None:
    with driver().transaction():
        driver().execute(INSERT)


def in_a_pipeline() -> None:
    with driver().pipeline():
        driver().execute(INSERT)


def after_a_named_cursor() -> None:
    assert list(JobResult.objects.filter(task_path="none").iterator()) == []
    by_django()


def in_a_block() -> None:
    with connection.cursor() as cursor:  # the same for both
        cursor.execute("SAVEPOINT mine")
        cursor.execute(INSERT)
        cursor.execute("RELEASE mine")


def by_enqueuing() -> None:
    atomic_tasks.note_effect.enqueue("enqueued by who fails")


_kept: list[Any] = []


def by_a_cursor_of_before() -> None:
    _kept.pop().execute(INSERT)


def by_nothing() -> None:
    pass


WAYS = {
    each.__name__: each
    for each in (
        by_django,
        by_django_with_rows,
        without_parameters,
        after_what_cannot_be_adapted,
        by_many,
        by_two_in_one_text,
        by_composed,
        by_copy,
        by_stream,
        by_the_driver,
        in_the_drivers_transaction,
        in_a_pipeline,
        after_a_named_cursor,
        in_a_block,
        by_enqueuing,
        by_a_cursor_of_before,
        by_nothing,
    )
}


@task(atomic=True)
def keep_a_cursor() -> None:
    _kept.append(driver().cursor())


@task(atomic=True, max_attempts=1)
def write_and_fail(way: str) -> None:
    WAYS[way]()
    raise Mistake


@task(atomic=True, max_attempts=1)
def write(way: str) -> None:
    WAYS[way]()


@task(atomic=True, max_attempts=1)
def send_what_is_no_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERTED INTO at_work_effect")


One = Callable[[], RunningWorker]


@pytest.mark.parametrize("way", WAYS)
def test_what_it_did_first_is_undone(alone: One, groups: Groups, way: str) -> None:
    kept = keep_a_cursor.enqueue()
    before = atomic_tasks.effect.enqueue("before")
    bad = write_and_fail.enqueue(way)
    after = atomic_tasks.effect.enqueue("later")

    alone()

    assert error_names(ended(bad)) == ["Mistake"]
    for result in (kept, before, after):
        assert ended(result).status == TaskResultStatus.SUCCESSFUL
    until(lambda: not Job.objects.exists())
    assert effects() == ["after before", "after later", "before", "later"]
    assert groups.sizes == [4]


@pytest.mark.parametrize("way", WAYS)
def test_what_it_did_first_is_kept(alone: One, groups: Groups, way: str) -> None:
    keep_a_cursor.enqueue()
    results = [write.enqueue(way), atomic_tasks.effect_alone.enqueue("later")]

    alone()

    for result in results:
        assert ended(result).status == TaskResultStatus.SUCCESSFUL
    until(lambda: not Job.objects.exists())
    assert len(effects()) == {"by_nothing": 1, "by_many": 3}.get(way, 2)
    assert groups.sizes == [3]


def test_what_the_database_cannot_read_takes_no_other_with_it(
    alone: One,
    groups: Groups,
) -> None:
    before = atomic_tasks.effect.enqueue("before")
    bad = send_what_is_no_sql.enqueue()
    after = atomic_tasks.effect.enqueue("later")

    alone()

    assert error_names(ended(bad)) == ["ProgrammingError"]
    assert 'syntax error at or near "INSERTED"' in bad.errors[0].traceback
    for result in (before, after):
        assert ended(result).status == TaskResultStatus.SUCCESSFUL
    until(lambda: not Job.objects.exists())
    assert effects() == ["after before", "after later", "before", "later"]
    assert groups.sizes[0] == 3
