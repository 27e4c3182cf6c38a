"""A worker that claims no more, and takes its time with what it has in hand."""

from collections.abc import Callable

import pytest
from django.db import transaction

from hosting.compat import TaskResultStatus
from hosting.queues import TaskWorker
from tests.queues.at_work.facts import ended, stored
from tests.queues.conftest import RunningWorker, until
from tests.queues.tasks import add, gates, wait_at

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_ends_what_has_begun_and_gives_back_the_rest(
    worker: Callable[..., RunningWorker],
) -> None:
    service = worker(concurrency=1).service
    told: list[int] = []
    service.when_executed(lambda: told.append(service.executed))
    ended(add.enqueue(1))
    with transaction.atomic():
        begun, *others = [wait_at.enqueue("here"), *map(add.enqueue, range(3))]
    assert gates["here"].entered.wait(20)

    service.claim_no_more()
    until(lambda: {stored(each).status for each in others} == {TaskResultStatus.READY})
    assert not service.is_done
    gates["here"].opened.set()

    assert ended(begun).status == TaskResultStatus.SUCCESSFUL
    until(lambda: service.is_done)
    assert told[-1] == service.executed == 2
    assert {stored(each).status for each in others} == {TaskResultStatus.READY}


def test_one_that_has_not_begun_is_done_at_once() -> None:
    service = TaskWorker()
    assert not service.is_done
    service.claim_no_more()
    assert service.is_done
