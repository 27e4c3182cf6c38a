"""Rows that hold something else than they should stop nobody."""

from typing import Any

import pytest

from hosting.compat import TaskResultStatus
from hosting.models import Job, JobResult
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import Failed, Retry, Succeeded
from tests.queues.stores.steps import (
    BROKEN,
    add,
    claim,
    claim_one,
    finished,
    record_of,
    settle,
)

TEXTS = [
    ("args", "{not json"),
    ("args", '{"a": 1}'),
    ("args", "[NaN]"),
    ("args", ""),
    ("kwargs", "[1]"),
    ("kwargs", "[" * 100_000),
    ("errors", '[{"traceback": "x"}]'),
    ("errors", "nonsense"),
    ("worker_ids", "[1]"),
    ("worker_ids", "nonsense"),
]


@pytest.mark.parametrize(("column", "text"), [*TEXTS, ("state", "asleep")])
def test_a_damaged_job_is_a_record_that_says_so(store: Store, column: str, text: str) -> None:
    job = add(store)
    Job.objects.filter(id=job).update(**{column: text})

    damage = record_of(store, job).damage

    assert damage is not None
    assert damage.startswith("status: " if column == "state" else f"{column}: ")


@pytest.mark.parametrize(
    ("column", "text"), [*TEXTS, ("return_value", "nonsense"), ("status", "ASLEEP")]
)
def test_a_damaged_result_is_a_record_that_says_so(store: Store, column: str, text: str) -> None:
    job = finished(store)
    JobResult.objects.filter(id=job).update(**{column: text})

    damage = record_of(store, job).damage

    assert damage is not None
    assert damage.startswith(f"{column}: ")


@pytest.mark.parametrize("result", [Succeeded("1"), Failed(BROKEN), Retry(BROKEN, 0)])
@pytest.mark.parametrize("column", ["args", "kwargs", "errors", "worker_ids", "options"])
def test_a_damaged_job_can_be_claimed_and_settled(store: Store, column: str, result: Any) -> None:
    job = add(store)
    Job.objects.filter(id=job).update(**{column: 'nonsense "[{'})

    claimed = claim_one(store, worker_id="w")
    assert claimed.record.worker_ids == ("w",)
    assert settle(store, claimed, result)
    record = record_of(store, job)
    assert record.worker_ids == ("w",)
    if not isinstance(result, Succeeded):
        assert record.errors == (BROKEN,)
    elif column == "errors":
        assert record.damage is not None


def test_a_damaged_job_can_be_given_back_cancelled_and_retried(store: Store) -> None:
    job = add(store)
    Job.objects.filter(id=job).update(errors="nonsense", worker_ids="nonsense", args="nonsense")
    store.release([claim_one(store, worker_id="a")], begun=True)
    claim_one(store, worker_id="b")
    store.upkeep.rescue()

    assert store.control.cancel([job]) == {job}
    record = record_of(store, job)
    assert (record.status, record.worker_ids) == (TaskResultStatus.FAILED, ("a", "b"))
    assert len(record.errors) == 1
    assert store.control.retry([job]) == {job}
    assert settle(store, claim_one(store, worker_id="c"))


def test_a_damaged_neighbour_is_no_hindrance(store: Store) -> None:
    damaged, sound = add(store), add(store)
    Job.objects.filter(id=damaged).update(args="nonsense", errors="nonsense")

    claims = {each.id: each for each in claim(store)}
    assert settle(store, claims[sound], Succeeded("1"))
    assert record_of(store, sound).damage is None
    assert settle(store, claims[damaged], Failed(BROKEN))
