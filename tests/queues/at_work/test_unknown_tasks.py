"""A job whose task is not in the code of this process, as in the middle of a deploy."""

from collections.abc import Callable
from typing import Any

import pytest

from hosting.compat import TaskResultStatus
from hosting.models import Job, JobResult
from hosting.queues import execution
from tests.queues.at_work import tasks
from tests.queues.at_work.facts import ended, with_options
from tests.queues.conftest import RunningWorker, until
from tests.queues.tasks import calls

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]

PATH = "tests.queues.at_work.tasks.note"


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A job whose task is gone."""
    result = tasks.note.enqueue("it")
    monkeypatch.delattr(PATH)
    return result


def test_it_fails_by_default(worker: Start, unknown: Any) -> None:
    worker()

    until(lambda: JobResult.objects.filter(id=unknown.id).exists())
    ended_job = JobResult.objects.get(id=unknown.id)
    assert ended_job.status == "FAILED"
    assert f"'{PATH}' is no task" in ended_job.errors


def test_it_waits_for_the_deploy_if_it_is_to(
    worker: Start, settings: Any, unknown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_options(settings, UNKNOWN_TASKS="wait")
    worker()
    until(lambda: Job.objects.filter(id=unknown.id, state="waiting").exists())
    job = Job.objects.get(id=unknown.id)
    assert job.claimed_at is not None
    assert 30 < (job.due_at - job.claimed_at).total_seconds() < 120
    assert (job.failures, job.errors) == (0, "[]")

    monkeypatch.setattr(PATH, unknown.task, raising=False)
    Job.objects.filter(id=unknown.id).update(due_at=job.claimed_at)
    assert ended(unknown).status == TaskResultStatus.SUCCESSFUL
    assert calls == ["it"]


def test_it_is_looked_for_again_and_again(
    worker: Start, settings: Any, unknown: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "UNKNOWN_TASK_DELAY", 0.01)
    with_options(settings, UNKNOWN_TASKS="wait")
    worker()
    until(lambda: Job.objects.filter(id=unknown.id, fence__gte=3).exists())

    monkeypatch.setattr(PATH, unknown.task, raising=False)
    assert ended(unknown).status == TaskResultStatus.SUCCESSFUL
    assert calls == ["it"]
