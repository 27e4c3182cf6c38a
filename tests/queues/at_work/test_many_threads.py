"""Atomic jobs where there are more threads than can be of use."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from hosting import enqueue_many
from hosting.models import JobResult
from hosting.queues import workshop
from hosting.queues.parallelism import Parallelism
from tests.queues.at_work import atomic_tasks
from tests.queues.conftest import RunningWorker, until
from tests.queues.tasks import calls

pytestmark = pytest.mark.django_db(transaction=True)

JOBS = 30_000
STRETCH = 150


def test_jobs_that_keep_the_interpreter_busy_are_left_to_one_thread(
    worker: Callable[..., RunningWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The process seems to compute all the time, whoever else uses this machine.
    busy = partial(Parallelism, processor_time=time.monotonic)
    monkeypatch.setattr(workshop, "Parallelism", busy)
    enqueue_many(atomic_tasks.compute, [(0.0003,)] * JOBS)
    worker(concurrency=8)
    until(lambda: is_left_to_one() or JobResult.objects.count() == JOBS, seconds=60)

    assert is_left_to_one()


def is_left_to_one() -> bool:
    return len(calls) > STRETCH and len(set(calls[-STRETCH:])) == 1
