"""What is done all the time does not read the rows that are dead, and cannot be removed yet.

PostgreSQL keeps every version of a row for as long as somebody holds a snapshot from before, and
with it the entries of the indexes. How much a statement reads is how many pages it asks for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import Rescue
from hosting.queues.stores.statements.shared import JOB
from hosting.queues.stores.values import HEAD
from tests.queues.stores.steps import claim, keeps_places, new_job, settlement, wanted

CHURN, ROUNDS = 500, 12
FEW = 60  # pages: a statement looks for several things, or for several jobs
ME = "vm:1:m"


@pytest.fixture
def snapshot(store: Store) -> Iterator[None]:
    """Somebody who keeps what is dead from being removed."""
    if not keeps_places(store):
        pytest.skip("Other databases keep no row versions for a snapshot.")
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute("SELECT count(*) FROM pg_class")
        yield


def pages_read(step: Callable[[], object]) -> int:
    """How many pages the step's statements ask for; each is executed before, and undone."""
    pages = []

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.split(None, 1)[0] in ("SELECT", "WITH", "UPDATE", "DELETE", "INSERT"):
            with transaction.atomic():
                told = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}"
                execute(told, params, many, context)
                [row] = context["cursor"].fetchone()
                plan = (json.loads(row) if isinstance(row, str) else row)[0]["Plan"]
                pages.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
                transaction.set_rollback(True)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        step()
    assert pages
    return sum(pages)


def churn(store: Store, worker: str, analyzed: str = "") -> dict[str, Any]:
    """Have a worker claim and settle thousands of jobs; the last places.

    The planner gets to see the table when all is "ready", "running", or has "ended".
    """
    store.upkeep.renew(worker, 3600)
    places: dict[str, Any] = {}
    for number in range(ROUNDS):
        moment = analyzed if number == ROUNDS // 2 else ""
        store.add_many([new_job() for _ in range(CHURN)])
        analyze(moment == "ready")
        claims = claim(store, CHURN, worker_id=worker, after=places)
        analyze(moment == "running")
        places = {"default": claims[-1].key}
        store.settle([settlement(each) for each in claims])
        analyze(moment == "ended")
    return places


def analyze(is_time: bool) -> None:
    """What autovacuum does at any time."""
    if is_time:
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {JOB}")


ANALYZED = pytest.mark.parametrize("analyzed", ["", "ready", "running", "ended"])


@ANALYZED
def test_dead_rows_are_passed_over(snapshot: None, store: Store, analyzed: str) -> None:
    store.upkeep.renew("vm:1:a", 3600)  # processes that live, before it and after it
    store.upkeep.renew("vm:1:z", 3600)
    places = churn(store, ME, analyzed)
    store.add_many([new_job()])

    from_head = pages_read(lambda: store.look("default", None, HEAD))
    assert from_head > 3 * FEW  # or nothing dead is there to be passed over
    assert pages_read(lambda: store.look("default", None, places)) < FEW
    assert pages_read(lambda: store.look("default", None, None)) < FEW
    assert pages_read(lambda: store.control.asked_to_end(ME)) < FEW

    def rescue() -> None:
        assert store.upkeep.rescue() == Rescue()

    assert pages_read(rescue) < FEW
    for queues in (["default"], None):
        store.add_many([new_job()])
        in_order = wanted(worker_id=ME, queues=queues, after=places)
        assert pages_read(partial(store.claim, in_order)) < FEW


@ANALYZED
def test_claims_are_found_by_their_ids(snapshot: None, store: Store, analyzed: str) -> None:
    places = churn(store, ME, analyzed)
    store.add_many([new_job() for _ in range(3)])
    claims = claim(store, worker_id=ME, after=places)
    one = claims[0]

    assert pages_read(lambda: store.upkeep.begin(one.id, one.fence)) < FEW
    assert pages_read(lambda: store.upkeep.acquit(one.id, one.fence)) < FEW
    assert pages_read(lambda: store.upkeep.note_progress(one.id, one.fence, "{}")) < FEW
    assert pages_read(lambda: store.release(claims[:1], begun=True)) < FEW
    assert pages_read(lambda: store.settle([settlement(each) for each in claims[1:]])) < FEW
