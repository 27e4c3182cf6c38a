"""A job that does not end in its time: told to end, and abandoned if it does not."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from hosting.compat import TaskResultStatus
from hosting.queues import hand
from tests.queues.at_work import tasks
from tests.queues.at_work.facts import AT_ONCE, ended, error_names, stored
from tests.queues.conftest import Heard, RunningWorker, until
from tests.queues.tasks import add, gates

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand, "GRACE", 0.05)


def threads_of_jobs() -> set[str]:
    return {each.name for each in threading.enumerate() if ":job-" in each.name}


@pytest.mark.parametrize("task", [tasks.overrun, tasks.overrun_in_coroutine])
def test_a_cooperative_job_ends_as_timed_out(worker: Start, task: Any) -> None:
    running = worker()

    result = ended(task.enqueue())

    assert (result.status, error_names(result)) == (TaskResultStatus.FAILED, ["JobTimedOut"])
    assert running.runtime.lifetime.recycling is None


def test_another_attempt_has_its_own_time(worker: Start) -> None:
    worker()

    result = ended(tasks.overrun.using(max_attempts=2, backoff=AT_ONCE).enqueue())

    assert error_names(result) == ["JobTimedOut"] * 2


def test_a_job_in_time_is_not_disturbed(worker: Start) -> None:
    worker()
    result = tasks.overrun_stubbornly.using(timeout=60).enqueue("here")
    assert gates["here"].entered.wait(20)
    gates["here"].opened.set()

    assert ended(result).return_value == "too late"


def test_a_job_whose_limit_is_lifted(worker: Start) -> None:
    worker()
    result = tasks.overrun_stubbornly.using(timeout=None).enqueue("here")
    gates["here"].opened.set()

    assert ended(result).status == TaskResultStatus.SUCCESSFUL


@pytest.mark.usefixtures("short_grace")
def test_a_stubborn_job_is_abandoned(worker: Start, heard: Heard, caplog: Any) -> None:
    running = worker(concurrency=1)

    result = ended(tasks.overrun_stubbornly.enqueue("here"))

    assert (result.status, error_names(result)) == (TaskResultStatus.FAILED, ["JobTimedOut"])
    assert "was abandoned" in result.errors[0].traceback
    # The process goes on for the moment, with another thread, but asks to be replaced.
    assert ended(add.enqueue(1)).return_value == 1
    assert running.runtime.lifetime.failure is None
    assert running.runtime.lifetime.recycling is not None
    assert result.id in running.runtime.lifetime.recycling
    [record] = [record for record in caplog.records if "is abandoned" in record.message]
    assert (record.levelname, record.job) == ("ERROR", result.id)
    assert "gates[gate].pass_through()" in record.message
    until(lambda: heard.has_finished(result))

    before = stored(result)
    [lost] = [name for name in threads_of_jobs() if name.endswith(":job-1")]
    gates["here"].opened.set()
    until(lambda: lost not in threads_of_jobs())

    assert ended(add.enqueue(2)).return_value == 2
    assert stored(result) == before
    assert [name for name, _, _ in heard.of(result)] == ["enqueued", "started", "finished"]


@pytest.mark.usefixtures("short_grace")
def test_all_threads_may_be_lost(worker: Start) -> None:
    worker(concurrency=2)
    results = [tasks.overrun_stubbornly.enqueue(str(number)) for number in range(5)]

    assert {ended(result).status for result in results} == {TaskResultStatus.FAILED}
    assert ended(add.enqueue(1)).return_value == 1


@pytest.mark.usefixtures("short_grace")
def test_an_abandoned_job_may_be_attempted_again(worker: Start) -> None:
    worker(concurrency=1)
    gate = gates["here"]
    result = tasks.overrun_stubbornly.using(max_attempts=2, backoff=AT_ONCE).enqueue("here")
    until(lambda: len(stored(result).errors) == 1)
    gate.opened.set()

    assert ended(result).return_value == "too late"
    assert error_names(result) == ["JobTimedOut"]
    assert len(result.worker_ids) == 2
