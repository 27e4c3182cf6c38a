"""Short atomic jobs share a transaction, and none of them takes another with it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.db.models import F
from django.utils import timezone

from hosting.compat import TaskResultStatus, task_backends
from hosting.models import Job, JobResult, JobState
from hosting.queues import atomic, hand
from tests.queues.at_work import atomic_tasks
from tests.queues.at_work.conftest import Groups
from tests.queues.at_work.facts import effects, ended, error_names, the_store
from tests.queues.conftest import Heard, RunningWorker, until
from tests.queues.tasks import calls, gates

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("effect_table"),
]

Start = Callable[..., RunningWorker]


One = Callable[[], RunningWorker]


@pytest.mark.usefixtures("unhurried")  # on a busy machine short jobs are not that short
def test_many_jobs_share_few_commits(worker: Start) -> None:
    commits: list[int] = []

    def count_commits(connection: Any, **kwargs: Any) -> None:
        def count_and_commit() -> Any:
            commits.append(1)
            return type(connection)._commit(connection)

        connection._commit = count_and_commit

    names = [f"{number:03}" for number in range(100)]
    task_backends["default"].enqueue_many(atomic_tasks.effect_alone, [(name,) for name in names])
    connection_created.connect(count_commits)
    try:
        worker(concurrency=1)
        until(lambda: JobResult.objects.filter(status="SUCCESSFUL").count() == 100)
    finally:
        connection_created.disconnect(count_commits)

    assert effects() == names
    assert 0 < len(commits) < 70  # also those that claim, and that tell of this process


def good(name: str) -> Any:
    return atomic_tasks.effect.enqueue(name)


#: What a job does to its transaction, and the error it ends with.
TROUBLE = [
    (atomic_tasks.effect_and_fail, "Mistake"),
    (atomic_tasks.roll_back, "TransactionManagementError"),
    (atomic_tasks.swallow_an_error, "TransactionManagementError"),
    (atomic_tasks.overrun_atomically, "JobTimedOut"),
    (atomic_tasks.violate_at_the_commit, "IntegrityError"),
    (atomic_tasks.close_the_connection, "TransactionManagementError"),
    (atomic_tasks.leave_a_block_open, "TransactionManagementError"),
]
if connection.vendor == "postgresql":
    TROUBLE += [
        (atomic_tasks.swallow_a_duplicate, "TransactionManagementError"),
        (atomic_tasks.raise_at_the_commit, "ProgrammingError"),
    ]
NAMES = [task.func.__name__ for task, *_ in TROUBLE]


@pytest.mark.parametrize(("task", "error"), TROUBLE, ids=NAMES)
def test_a_job_in_trouble_takes_no_other_with_it(
    alone: One, groups: Groups, heard: Heard, task: Any, error: str
) -> None:
    before, bad, after = good("before"), task.enqueue("bad"), good("later")

    alone()

    assert error_names(ended(bad)) == [error]
    for result in (before, after):
        assert ended(result).status == TaskResultStatus.SUCCESSFUL
    assert groups.sizes[0] == 3
    until(lambda: effects() == ["after before", "after later", "before", "later"])
    until(lambda: calls == ["before", "later"])  # and the callbacks of these two only, once each
    until(lambda: heard.has_finished(before, bad, after))
    for result in (before, bad, after):
        assert [name for name, _, _ in heard.of(result)].count("finished") == 1
    until(lambda: not Job.objects.exists())


@pytest.mark.parametrize(
    "task", [atomic_tasks.fail_after_the_commit, atomic_tasks.fail_in_a_partial_after_the_commit]
)
def test_a_callback_that_fails_keeps_no_other_back(
    alone: One, groups: Groups, heard: Heard, task: Any
) -> None:
    results = [good("before"), task.enqueue("bad"), good("later")]

    alone()

    for result in results:
        assert ended(result).status == TaskResultStatus.SUCCESSFUL
    assert groups.sizes[0] == 3
    until(lambda: calls == ["before", "bad", "later"])
    until(lambda: heard.has_finished(*results))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="of PostgreSQL")
def test_a_job_whose_commit_may_succeed_later_runs_again_then(
    worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at once, again and again: what it misses may come with a migration, or never."""
    monkeypatch.setattr(atomic, "AGAIN", 3600.0)
    result = atomic_tasks.miss_a_table_at_the_commit.enqueue("early")

    worker()
    until(lambda: Job.objects.get(id=result.id).state == JobState.WAITING)

    assert Job.objects.get(id=result.id).due_at > timezone.now() + timedelta(minutes=30)
    assert effects() == []


def test_a_claim_that_was_lost_has_no_effect(alone: One, groups: Groups, heard: Heard) -> None:
    """It is given up between the claim and the transaction, as by a worker that seems dead."""
    upkeep = the_store().upkeep
    upkeep.renew("another", 60)  # who lives, so that no rescue brings the job back
    results = [good("a"), good("lost"), good("c")]
    lost = results[1]
    transact = atomic.AtomicGroup._transact

    def take_over(self: atomic.AtomicGroup, jobs: Any, put_back: Any) -> Any:
        if lost.id in {str(each.claim.id) for each in jobs}:
            mine = Job.objects.filter(id=lost.id).exclude(claimed_by="another")
            mine.update(fence=F("fence") + 1, claimed_by="another")
        return transact(self, jobs, put_back)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.AtomicGroup, "_transact", take_over)
        alone()
        for result in (results[0], results[2]):
            assert ended(result).status == TaskResultStatus.SUCCESSFUL
        until(lambda: effects() == ["a", "after a", "after c", "c"])

    until(lambda: calls == ["a", "c"])
    # Whoever has it now may still end it, or die: then it runs here.
    upkeep.retire("another")
    upkeep.rescue()
    assert ended(lost).status == TaskResultStatus.SUCCESSFUL
    until(lambda: calls == ["a", "c", "lost"])


def test_a_stubborn_job_takes_no_other_with_it(
    worker: Start, groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand, "GRACE", 0.05)
    before = good("before")
    bad = atomic_tasks.overrun_stubbornly_in_atomic.enqueue("here")
    after = good("later")
    running = worker(concurrency=1)

    # All of this while the gate is closed, which it is for 20 s at most.
    assert error_names(ended(bad, 6)) == ["JobTimedOut"]
    for result in (before, after):
        assert ended(result, 6).status == TaskResultStatus.SUCCESSFUL
    assert groups.sizes[0] == 3
    until(lambda: effects() == ["after before", "after later", "before", "later"])
    gates["here"].opened.set()
    assert ended(good("much later")).status == TaskResultStatus.SUCCESSFUL
    assert "here" not in effects()
    until(lambda: running.service.facts()["running"] == 0)


def test_a_stubborn_job_is_cut_off_when_it_runs_alone_after_its_group(
    worker: Start, groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand, "GRACE", 0.05)
    breaking = atomic_tasks.close_the_connection.enqueue("breaking")
    bad = atomic_tasks.overrun_stubbornly_in_atomic.enqueue("here")
    worker(concurrency=1)

    assert error_names(ended(breaking)) == ["TransactionManagementError"]
    assert error_names(ended(bad)) == ["JobTimedOut"]
    assert ended(good("later")).status == TaskResultStatus.SUCCESSFUL
    until(lambda: effects() == ["after later", "later"])


def test_jobs_there_is_no_time_for_are_left_to_the_next(
    worker: Start, groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "SPAN", 0.0)
    results = [good(name) for name in "abc"]

    worker(concurrency=1)

    for result in results:
        assert ended(result).attempts == 1
    assert groups.sizes[0] == 3
    assert len(groups.sizes) >= 3
    until(lambda: calls == ["a", "b", "c"])


def test_jobs_that_are_not_atomic_share_nothing(worker: Start, groups: Groups) -> None:
    plain = atomic_tasks.note_effect.enqueue("plain")
    results = [good("a"), good("b")]
    worker(concurrency=1)

    for result in (plain, *results):
        assert ended(result).status == TaskResultStatus.SUCCESSFUL
    assert groups.sizes[0] == 2
    assert not connection.in_atomic_block
