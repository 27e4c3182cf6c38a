"""What becomes of outcomes that a database does not take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DataError, NotSupportedError

from hosting.cancellation import CancellationToken
from hosting.compat import TaskResultStatus
from hosting.queues.calls import database_backend
from hosting.queues.hand import Holder, JobInHand
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.settling import Settler, Tally
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import Succeeded
from tests.queues import tasks
from tests.queues.stores.steps import claim, wanted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def settler() -> Iterator[Settler]:
    made = Settler("jobs", database_backend("default"), Tally(), lambda _: None)
    yield made
    made.close()


def succeeded(store: Store, count: int) -> list[Any]:
    """The results of so many jobs, and the outcomes of their attempts."""
    results = [tasks.note.enqueue(number) for number in range(count)]
    token, holder = CancellationToken(), Holder("jobs", "w", 0.0)
    jobs = [JobInHand(each, token, holder) for each in claim(store)]
    return [results, [Outcome(job, Ending.SUCCEEDED, tasks.note, "1") for job in jobs]]


@pytest.mark.parametrize("count", [1, 2])
def test_a_claim_that_fails_does_not_make_a_success_a_failure(
    settler: Settler, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    store = database_backend("default").store
    results, outcomes = succeeded(store, count)
    settler.pending.extend(outcomes)
    exchange = type(store).exchange

    def refuse_to_claim(self: Any, settlements: Any, wanted: Any) -> Any:
        if wanted is not None:
            raise NotSupportedError("cached plan must not change result type")
        return exchange(self, settlements, wanted)

    monkeypatch.setattr(type(store), "exchange", refuse_to_claim)
    assert settler.exchange(wanted()) == ()

    for result in results:
        result.refresh()
        assert result.status == TaskResultStatus.SUCCESSFUL


def test_an_outcome_that_is_not_taken_fails_alone(
    settler: Settler, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = database_backend("default").store
    results, outcomes = succeeded(store, 2)
    settler.pending.extend(outcomes)
    bad, exchange = outcomes[0].claim.id, type(store).exchange

    def refuse_one(self: Any, settlements: Any, wanted: Any) -> Any:
        if any(each.id == bad and isinstance(each.result, Succeeded) for each in settlements):
            raise DataError("too long")
        return exchange(self, settlements, wanted)

    monkeypatch.setattr(type(store), "exchange", refuse_one)
    settler.exchange(None)

    for result in results:
        result.refresh()
    statuses = [result.status for result in results]
    assert statuses == [TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL]
    assert results[0].errors[0].exception_class_path.endswith("DataError")
