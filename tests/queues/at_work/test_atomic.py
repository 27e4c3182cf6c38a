"""Atomic jobs: what they write, their end and what they enqueue commit together, or nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F
from psycopg import IsolationLevel

from hosting import cancel
from hosting.compat import TaskResultStatus
from hosting.models import Job
from hosting.queues import attendance, hand
from tests.queues.at_work import atomic_tasks, tasks
from tests.queues.at_work.facts import effects, ended, error_names, row, stored, the_store
from tests.queues.conftest import Heard, RunningWorker, until
from tests.queues.tasks import add, calls, gates

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("effect_table"),
]

Start = Callable[..., RunningWorker]


def test_all_of_it_commits(worker: Start, heard: Heard) -> None:
    worker()

    result = ended(atomic_tasks.effect.enqueue("it"))

    assert (result.return_value, result.attempts) == ("it", 1)
    until(lambda: effects() == ["after it", "it"])
    until(lambda: heard.has_finished(result))
    assert [name for name, _, _ in heard.of(result)] == ["enqueued", "started", "finished"]
    until(lambda: calls == ["it"])


def test_nothing_of_it_is_seen_before(worker: Start) -> None:
    worker()
    result = atomic_tasks.effect_at.enqueue("here")
    assert gates["here"].entered.wait(20)

    assert effects() == []
    assert row(result).state == "running"
    gates["here"].opened.set()
    ended(result)
    assert "here" in effects()


#: Tasks that write and are to have no effect, with the errors they end with.
WITHOUT_EFFECT = [
    (atomic_tasks.effect_and_fail, "Mistake", ""),
    (atomic_tasks.roll_back, "TransactionManagementError", "left its transaction broken"),
    (atomic_tasks.swallow_an_error, "TransactionManagementError", "left its transaction broken"),
    (atomic_tasks.overrun_atomically, "JobTimedOut", ""),
    (atomic_tasks.violate_at_the_commit, "IntegrityError", ""),
    (atomic_tasks.close_the_connection, "TransactionManagementError", "left the transaction"),
    (atomic_tasks.leave_a_block_open, "TransactionManagementError", "left the transaction"),
]
NAMES = [task.func.__name__ for task, *_ in WITHOUT_EFFECT]


@pytest.mark.parametrize(("task", "name", "words"), WITHOUT_EFFECT, ids=NAMES)
def test_a_job_that_fails_leaves_nothing(
    worker: Start, heard: Heard, task: Any, name: str, words: str
) -> None:
    worker()

    result = ended(task.enqueue("it"))

    assert (result.status, error_names(result)) == (TaskResultStatus.FAILED, [name])
    assert words in result.errors[0].traceback
    until(lambda: heard.has_finished(result))
    ended(atomic_tasks.effect.enqueue("other"))
    until(lambda: effects() == ["after other", "other"])
    until(lambda: calls == ["other"])
    until(lambda: not Job.objects.exists())


def test_a_savepoint_of_its_own_keeps_an_error_apart(worker: Start) -> None:
    worker()

    result = ended(atomic_tasks.swallow_an_error_in_a_savepoint.enqueue("it"))

    assert result.status == TaskResultStatus.SUCCESSFUL
    until(lambda: effects() == ["after it", "it"])


def test_only_the_attempt_that_succeeds_has_effects(worker: Start) -> None:
    worker()

    result = ended(atomic_tasks.effect_at_second.enqueue("it"))

    assert (result.attempts, error_names(result)) == (2, ["Mistake"])
    until(lambda: effects() == ["after it", "it"])
    until(lambda: calls == ["it"])


def test_who_snoozes_has_no_effect(worker: Start) -> None:
    worker()

    result = ended(atomic_tasks.snooze_atomically.enqueue("it"))

    assert (result.status, result.errors) == (TaskResultStatus.SUCCESSFUL, [])
    until(lambda: effects() == ["after it 2", "it 2"])


def test_a_callback_that_fails_changes_nothing(worker: Start, heard: Heard) -> None:
    worker()

    result = ended(atomic_tasks.fail_after_the_commit.enqueue("it"))

    assert result.status == TaskResultStatus.SUCCESSFUL
    until(lambda: heard.has_finished(result))
    until(lambda: calls == ["it"])
    until(lambda: effects() == ["after it", "it"])


def test_a_lost_claim_has_no_effect(worker: Start, caplog: Any) -> None:
    the_store().upkeep.renew("somebody", 60)  # who lives, so that no rescue brings the job back
    lost = atomic_tasks.effect.enqueue("lost")
    tasks.wait_at.using(priority=1).enqueue("here")
    # The claim is taken over between being claimed and being begun.
    worker(concurrency=1)
    assert gates["here"].entered.wait(20)
    Job.objects.filter(id=lost.id).update(
        state="running", claimed_by="somebody", fence=F("fence") + 7
    )
    gates["here"].opened.set()
    assert ended(add.enqueue(1)).return_value == 1

    assert "lost" not in calls


one_writer = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="there, one transaction writes at a time"
)


@one_writer
def test_a_claim_that_is_lost_while_it_runs_has_no_effect(worker: Start) -> None:
    the_store().upkeep.renew("somebody", 60)
    worker()
    lost = atomic_tasks.effect_at.enqueue("here")
    assert gates["here"].entered.wait(20)

    Job.objects.filter(id=lost.id).update(claimed_by="somebody", fence=F("fence") + 1)
    gates["here"].opened.set()
    ended(add.enqueue(1))
    until(lambda: Job.objects.count() == 1)  # what it enqueued is gone, and it is somebody's

    assert (effects(), calls) == ([], [])
    the_store().upkeep.retire("somebody")
    the_store().upkeep.rescue()
    assert ended(lost).status == TaskResultStatus.SUCCESSFUL
    until(lambda: effects() == ["after here", "here"])
    until(lambda: calls == ["here"])


@one_writer
def test_it_tells_how_far_it_is_and_is_told_to_end(worker: Start, heard: Heard) -> None:
    worker()
    result = atomic_tasks.run_until_told.enqueue()
    until(lambda: stored(result).progress)

    assert cancel(result)

    assert error_names(ended(result)) == ["JobCancelled"]
    until(lambda: heard.has_finished(result))
    assert effects() == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="is about levels of isolation")
def test_it_tells_nothing_that_its_own_transaction_could_not_overwrite(
    worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = connections.settings["default"]["OPTIONS"]
    monkeypatch.setitem(options, "isolation_level", IsolationLevel.REPEATABLE_READ)
    monkeypatch.setattr(attendance, "ATTENDANCE", 0.01)
    worker()
    result = atomic_tasks.effect_and_progress_at.enqueue("here")
    assert gates["here"].entered.wait(20)
    other = tasks.tell_progress.enqueue("there")
    until(lambda: stored(other).progress)  # which is when both would have told
    gates["here"].opened.set()
    gates["there"].opened.set()

    assert ended(result).attempts == 1
    assert stored(result).progress
    until(lambda: effects() == ["after here", "here"])


def test_a_stubborn_job_is_cut_off(worker: Start, monkeypatch: Any) -> None:
    monkeypatch.setattr(hand, "GRACE", 0.05)
    running = worker(concurrency=1)

    result = ended(atomic_tasks.overrun_stubbornly_in_atomic.enqueue("here"))

    assert error_names(result) == ["JobTimedOut"]
    until(lambda: running.runtime.lifetime.recycling)
    ended(atomic_tasks.effect.enqueue("other"))
    before = stored(result)
    gates["here"].opened.set()
    ended(atomic_tasks.effect.enqueue("another"))
    assert stored(result) == before
    until(lambda: effects() == ["after another", "after other", "another", "other"])
    until(lambda: calls == ["other", "another"])
