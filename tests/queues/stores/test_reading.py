"""What a store tells of its jobs."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosting.compat import TaskResultStatus
from hosting.ids import uuid7
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import HEAD, Failed, Look
from tests.queues.stores.steps import (
    BROKEN,
    HOUR,
    add,
    add_some,
    claim,
    finished,
    ids,
    keeps_places,
    make_due,
    one_at_a_time,
    settle,
)

NOTHING = Look(is_ready=False, seconds_until_due=None, is_held_up=False)
NOTHING_ELSE = Look(is_ready=True, seconds_until_due=None, is_held_up=False)


def test_get_gives_what_there_is(store: Store) -> None:
    jobs = {
        finished(store): TaskResultStatus.SUCCESSFUL,
        finished(store, Failed(BROKEN)): TaskResultStatus.FAILED,
        add(store): TaskResultStatus.RUNNING,
    }
    claim(store)
    jobs[add(store)] = TaskResultStatus.READY
    jobs[add(store, run_after=timezone.now() + HOUR)] = TaskResultStatus.READY
    jobs[add(store, limit=one_at_a_time())] = TaskResultStatus.READY
    add(store)

    records = store.get([uuid7(), *jobs])

    assert {job: record.status for job, record in records.items()} == jobs
    assert store.get([]) == {}
    assert store.get([uuid7()]) == {}


def test_a_look_at_nothing(store: Store) -> None:
    assert store.look("default", None, HEAD) == NOTHING
    assert store.look("default", ["default"], HEAD) == NOTHING
    assert store.look("default", [], HEAD) == NOTHING


def test_a_look_behind_places(store: Store) -> None:
    add_some(store, 2)
    add(store, queue_name="mail")
    places = {each.queue_name: each.key for each in claim(store)}
    assert store.look("default", None, places) == NOTHING

    add(store, priority=1)  # before them
    assert store.look("default", None, places).is_ready is not keeps_places(store)
    assert store.look("default", None, HEAD).is_ready
    claim(store)
    add(store, queue_name="mail")
    assert store.look("default", ["mail", "default"], places).is_ready
    assert store.look("other", None, places) == NOTHING


def test_who_knows_that_something_is_ready_need_not_ask(store: Store) -> None:
    assert store.look("default", None, None) == NOTHING_ELSE
    assert store.look("default", ["default"], None) == NOTHING_ELSE


def test_a_look_at_what_is_ready(store: Store) -> None:
    add(store, queue_name="mail")
    ready = Look(is_ready=True, seconds_until_due=None, is_held_up=False)

    assert store.look("default", None, HEAD) == ready
    assert store.look("default", ["news", "mail"], HEAD) == ready
    assert store.look("default", ["news"], HEAD) == NOTHING
    assert store.look("other", None, HEAD) == NOTHING
    claim(store)
    assert store.look("default", None, HEAD) == NOTHING


def test_a_look_at_what_waits(store: Store) -> None:
    mail = add(store, run_after=timezone.now() + HOUR, queue_name="mail")
    add(store, run_after=timezone.now() + 2 * HOUR)
    add(store, run_after=timezone.now() + HOUR / 2, backend="other")

    assert not store.look("default", None, HEAD).is_ready
    assert store.look("default", None, HEAD).seconds_until_due == pytest.approx(3600, abs=60)
    assert store.look("default", ["default"], HEAD).seconds_until_due == pytest.approx(7200, abs=60)
    assert store.look("default", ["none"], HEAD).seconds_until_due is None
    assert store.look("other", None, HEAD).seconds_until_due == pytest.approx(1800, abs=60)

    make_due(mail)
    overdue = store.look("default", ["mail"], HEAD).seconds_until_due
    assert overdue is not None
    assert overdue <= 0
    store.upkeep.promote()
    assert store.look("default", ["mail"], HEAD) == Look(True, None, False)


def test_a_look_at_what_is_held_up(store: Store) -> None:
    add_some(store, 2, limit=one_at_a_time(), queue_name="mail")
    blocked = Look(is_ready=False, seconds_until_due=None, is_held_up=True)

    # Of whatever queue: who ends a job may let one of another go on.
    assert store.look("default", None, HEAD) == blocked
    assert store.look("default", ["default"], HEAD) == blocked
    assert store.look("other", None, HEAD) == NOTHING
    store.upkeep.admit()
    assert store.look("default", None, HEAD) == Look(True, None, True)
    settle(store, claim(store)[0])
    store.upkeep.admit()
    assert store.look("default", None, HEAD) == Look(True, None, False)


def test_queues_that_have_a_job_that_is_ready(store: Store) -> None:
    assert store.queue_names("default") == []
    for queue in ("mail", "default", "mail", "über 100 %"):
        add(store, queue_name=queue)
    add(store, queue_name="later", run_after=timezone.now() + HOUR)
    add(store, queue_name="limited", limit=one_at_a_time())
    add(store, queue_name="theirs", backend="other")

    assert sorted(store.queue_names("default")) == ["default", "mail", "über 100 %"]
    assert store.queue_names("other") == ["theirs"]
    claim(store, queues=["mail"])
    assert sorted(store.queue_names("default")) == ["default", "über 100 %"]


def test_a_worker_finds_what_it_holds(store: Store) -> None:
    add_some(store, 5)
    mine = claim(store, limit=3, worker_id="me")
    yours = claim(store, limit=1, worker_id="you")
    settle(store, mine[0])
    store.release([mine[1]], begun=True)

    [held] = store.held_by("me")
    assert (held.id, held.fence, held.key) == (mine[2].id, mine[2].fence, held.key)
    assert held.record == mine[2].record
    assert settle(store, held)
    assert ids(store.held_by("you")) == ids(yours)
    assert store.held_by("nobody") == []


def test_nothing_that_is_done_now_and_then_reads_all_jobs(store: Store) -> None:
    """On SQLite, where a search that no index serves is a search of a million rows."""
    if connection.vendor != "sqlite":
        pytest.skip("Other databases plan by what their tables hold.")
    add_some(store, 3)
    add(store, run_after=timezone.now() + HOUR)
    claim(store, limit=1)

    with CaptureQueriesContext(connection) as queries:
        store.look("default", None, HEAD)
        store.look("default", ["default"], HEAD)
        store.upkeep.promote()
        store.upkeep.admit()
        store.upkeep.rescue()
        store.control.asked_to_end("w")

    reads = [each["sql"] for each in queries if each["sql"].lstrip().startswith("SELECT")]
    assert len(reads) >= 6
    for sql in reads:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = [row[3] for row in cursor.fetchall()]
        scans = [step for step in plan if step.startswith("SCAN") and "CONSTANT" not in step]
        assert all("INDEX hosting_" in step for step in scans), f"{plan} of {sql}"
