"""`TaskWorker` executes jobs; `hosting.queues.execution` says how."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from hosting.compat import TaskResultStatus, task_backends, task_finished, task_started
from hosting.exceptions import ConfigurationError
from hosting.models import Job, JobResult
from hosting.queues import DatabaseBackend, TaskWorker, stoporder
from hosting.queues.stores import store_for
from tests.queues import tasks
from tests.queues.conftest import Heard, RunningWorker, until

pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "hosting.queues.DatabaseBackend"
Start = Callable[..., RunningWorker]


def ended(result: Any) -> Any:
    """The result, once the job has ended."""

    def has_ended() -> bool:
        result.refresh()
        return bool(result.is_finished)

    until(has_ended)
    return result


def allow_attempts(settings: Any, attempts: int) -> None:
    options = {"MAX_ATTEMPTS": attempts}
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": options}}


# Executing


@pytest.mark.parametrize("task", [tasks.add, tasks.aadd], ids=["plain", "coroutine"])
def test_it_executes_a_task(worker: Start, task: Any) -> None:
    running = worker()
    result = ended(task.enqueue(20, b=22))

    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 42)
    assert result.enqueued_at <= result.started_at <= result.finished_at
    assert result.last_attempted_at == result.started_at
    [worker_id] = result.worker_ids
    assert len(worker_id) < 64
    assert f":{os.getpid()}:" in worker_id
    until(lambda: running.service.facts()["running"] == 0)
    assert running.service.facts() == {"running": 0, "executed": 1, "failed": 0, "queues": None}


@pytest.mark.parametrize("task", [tasks.tell, tasks.atell], ids=["plain", "coroutine"])
def test_a_task_that_takes_the_context_is_given_it(worker: Start, task: Any) -> None:
    worker()
    result = ended(task.enqueue("hello"))

    assert result.return_value == ["hello", 1, result.id, False]


def test_jobs_run_on_named_threads(worker: Start) -> None:
    worker(concurrency=1)  # on a busy machine a second thread is woken for what waits

    assert ended(tasks.give_thread_name.enqueue()).return_value == "hosting:jobs:job-1"


def test_jobs_run_by_priority(worker: Start) -> None:
    now = timezone.now()
    for name, priority, after in [
        ("low", -1, None),
        ("normal", 0, None),
        ("waited", 0, now - timedelta(hours=1)),
        ("high", 100, None),
    ]:
        tasks.note.using(priority=priority, run_after=after).enqueue(name)

    worker(concurrency=1)

    until(lambda: len(tasks.calls) == 4)
    assert tasks.calls == ["high", "waited", "normal", "low"]


def test_a_deferred_job_waits(worker: Start) -> None:
    later = timezone.now() + timedelta(hours=1)
    deferred = tasks.note.using(run_after=later).enqueue("deferred")
    worker()
    ended(tasks.note.enqueue("now"))

    assert tasks.calls == ["now"]
    Job.objects.filter(id=deferred.id).update(due_at=timezone.now())
    ended(deferred)


def test_a_deferred_job_is_not_left_to_the_poll(worker: Start) -> None:
    running = worker(poll_interval=3600)
    running.wait_until_ready()
    soon = timezone.now() + timedelta(seconds=0.3)

    result = ended(tasks.add.using(run_after=soon).enqueue(1))

    assert result.started_at >= soon


def test_no_more_than_its_concurrency_is_claimed(worker: Start) -> None:
    results = [tasks.wait_at.enqueue(str(number)) for number in range(3)]
    running = worker(concurrency=2)
    gates = [tasks.gates[str(number)] for number in range(3)]
    assert gates[0].entered.wait(20)
    assert gates[1].entered.wait(20)

    assert running.service.facts()["running"] == 2
    assert Job.objects.filter(state="running").count() == 2
    gates[1].opened.set()
    assert gates[2].entered.wait(20)
    gates[0].opened.set()
    gates[2].opened.set()
    assert [ended(result).return_value for result in results] == ["0", "1", "2"]


def test_only_its_queues_are_served(worker: Start) -> None:
    running = worker(queues=["mail"])
    other = tasks.note.enqueue("other")
    ended(tasks.note.using(queue_name="mail").enqueue("mail"))

    assert tasks.calls == ["mail"]
    other.refresh()
    assert other.status == TaskResultStatus.READY
    assert running.service.facts()["queues"] == ["mail"]


def test_the_queues_of_the_backend_are_served_by_default(worker: Start, settings: Any) -> None:
    tasks.note.using(queue_name="elsewhere").enqueue("elsewhere")
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": ["default", "mail"]}}
    worker()
    for queue in ("default", "mail"):
        ended(tasks.note.using(queue_name=queue).enqueue(queue))

    assert tasks.calls == ["default", "mail"]


def test_a_local_enqueue_wakes_it(worker: Start) -> None:
    running = worker(poll_interval=3600)
    running.wait_until_ready()

    with transaction.atomic():
        result = tasks.add.enqueue(1)

    assert ended(result).return_value == 1


def test_it_is_ready_once_it_has_looked_at_the_queue(worker: Start) -> None:
    assert TaskWorker.reports_ready
    worker().wait_until_ready()


# Signals


def test_the_signals_of_a_success(worker: Start, heard: Heard) -> None:
    worker()
    result = tasks.add.enqueue(1, 2)
    until(lambda: heard.has_finished(result))

    signals = heard.of(result)
    assert [name for name, _, _ in signals] == ["enqueued", "started", "finished"]
    assert {sender for _, sender, _ in signals} == {DatabaseBackend}
    started, finished = signals[1][2], signals[2][2]
    assert started.status == TaskResultStatus.RUNNING
    assert started.started_at is not None
    assert started.attempts == 1
    result.refresh()
    assert finished == result
    assert finished.return_value == 3


def test_a_failure_is_announced_within_its_exception(worker: Start) -> None:
    seen: list[Any] = []

    def receive(task_result: Any, **kwargs: Any) -> None:
        seen.append((task_result.status, sys.exc_info()[1]))

    task_finished.connect(receive)
    try:
        worker()
        ended(tasks.fail.enqueue("it is broken"))
        until(lambda: seen)
    finally:
        task_finished.disconnect(receive)
    [(status, error)] = seen
    assert (status, type(error), str(error)) == ("FAILED", LookupError, "it is broken")


def test_receivers_that_raise_lose_no_job(worker: Start) -> None:
    def raise_it(**kwargs: Any) -> None:
        raise RuntimeError("a receiver")

    for signal in (task_started, task_finished):
        signal.connect(raise_it)
    try:
        worker()
        assert ended(tasks.add.enqueue(1)).return_value == 1
        assert ended(tasks.add.enqueue(2)).return_value == 2
    finally:
        for signal in (task_started, task_finished):
            signal.disconnect(raise_it)


# Failing


def test_a_failure_keeps_its_traceback(worker: Start) -> None:
    running = worker()
    result = ended(tasks.fail.enqueue())

    assert result.status == TaskResultStatus.FAILED
    [error] = result.errors
    assert error.exception_class is LookupError
    assert "in fail\n" in error.traceback
    assert error.traceback.endswith("LookupError: as told\n")
    until(lambda: running.service.facts()["failed"] == 1)


@pytest.mark.parametrize("how", ["exit", "interrupt"])
def test_a_task_that_would_end_the_process_fails(worker: Start, how: str) -> None:
    worker(concurrency=1)

    assert ended(tasks.leave.enqueue(how)).errors
    assert ended(tasks.leave_the_loop.enqueue()).errors[0].exception_class is SystemExit
    assert ended(tasks.add.enqueue(1)).return_value == 1


def test_wrong_arguments_fail_the_job(worker: Start) -> None:
    worker()

    [error] = ended(tasks.add.enqueue()).errors
    assert "missing 1 required positional argument" in error.traceback


def test_a_long_traceback_is_shortened(worker: Start) -> None:
    worker()

    [error] = ended(tasks.fail.enqueue("\x00" + "long" * 100_000)).errors
    assert len(error.traceback) < 70_000


def test_a_result_that_is_not_json_fails_the_job_at_once(worker: Start, settings: Any) -> None:
    allow_attempts(settings, 3)
    worker()

    [error] = ended(tasks.give_object.enqueue()).errors
    assert "The return value of tests.queues.tasks.give_object (object) cannot be stored" in (
        error.traceback
    )


def test_a_failed_attempt_is_repeated(
    worker: Start, heard: Heard, settings: Any, caplog: Any
) -> None:
    allow_attempts(settings, 3)
    worker()

    result = ended(tasks.fail_at_first.enqueue())

    assert (result.return_value, result.attempts) == (2, 2)
    assert [error.exception_class for error in result.errors] == [LookupError]
    assert result.started_at < result.last_attempted_at
    until(lambda: heard.has_finished(result))
    assert [name for name, _, _ in heard.of(result)] == [
        "enqueued",
        "started",
        "started",
        "finished",
    ]
    [record] = [record for record in caplog.records if "next attempt in" in record.message]
    assert (record.service, record.job, record.task) == (
        "jobs",
        result.id,
        "tests.queues.tasks.fail_at_first",
    )


def test_attempts_end(worker: Start, settings: Any) -> None:
    allow_attempts(settings, 2)
    worker()

    result = ended(tasks.fail.enqueue())

    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 2)
    assert len(result.errors) == 2


# Damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"task_path": "os.getpid"}, "'os.getpid' is no task: it is a builtin_function_or_method"),
        ({"task_path": "tests.queues.tasks.plain_function"}, "it is a function"),
        ({"task_path": "tests.queues.tasks.gone"}, "it cannot be imported"),
        ({"task_path": "no module, or so"}, "it cannot be imported"),
        ({"args": "[1,"}, "is damaged: args: "),
        ({"kwargs": "[]"}, "is damaged: kwargs: an object is expected, found list"),
    ],
)
def test_a_bad_row_fails_its_job_and_nothing_else(
    worker: Start, damage: dict[str, str], words: str, caplog: Any
) -> None:
    bad = tasks.note.using(priority=1).enqueue("never")
    Job.objects.update(**damage)
    worker(concurrency=1)

    assert ended(tasks.add.enqueue(1)).return_value == 1
    job = JobResult.objects.get(id=bad.id)
    assert job.status == "FAILED"
    assert words in job.errors
    assert tasks.calls == []


def test_a_row_of_an_unknown_backend_is_left_alone(worker: Start) -> None:
    stranger = tasks.note.enqueue("never")
    Job.objects.update(backend="gone")
    worker()

    ended(tasks.add.enqueue(1))
    assert Job.objects.get(id=stranger.id).state == "ready"


@pytest.mark.parametrize("task", [tasks.leave_a_transaction_open, tasks.switch_autocommit_off])
def test_what_a_task_leaves_on_its_connection_harms_nobody(worker: Start, task: Any) -> None:
    worker(concurrency=1)

    assert ended(task.enqueue()).status == TaskResultStatus.SUCCESSFUL
    assert ended(tasks.add.enqueue(1)).return_value == 1


# Stopping


def test_a_stop_waits_for_the_job_in_hand(worker: Start) -> None:
    running = worker()
    result = tasks.wait_at.enqueue("here")
    assert tasks.gates["here"].entered.wait(20)
    running.stopping.register(tasks.gates["here"].opened.set)

    running.stop(20)

    result.refresh()
    assert result.status == TaskResultStatus.SUCCESSFUL


def test_a_stop_claims_no_more(worker: Start) -> None:
    running = worker(concurrency=1)
    tasks.wait_at.enqueue("first")
    assert tasks.gates["first"].entered.wait(20)
    second = tasks.note.enqueue("second")
    running.stopping.register(tasks.gates["first"].opened.set)

    running.stop(20)

    second.refresh()
    assert (second.status, second.attempts) == (TaskResultStatus.READY, 0)


@pytest.mark.parametrize("task", [tasks.wait_for_cancellation, tasks.await_cancellation])
def test_a_cooperative_job_is_handed_back(
    worker: Start, task: Any, heard: Heard, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stoporder, "FINISH_SHARE", 0.02)  # told soon, with much time left
    caplog.set_level(logging.INFO, "hosting")
    running = worker()
    result = task.enqueue("here")
    assert tasks.gates["here"].entered.wait(20)

    running.stop(20)

    result.refresh()
    assert (result.status, result.errors, result.finished_at) == (TaskResultStatus.READY, [], None)
    assert Job.objects.get().claimed_by == ""
    assert running.service.facts()["executed"] == 0
    assert any("it was handed back and will run again" in each.message for each in caplog.records)
    assert not any("did not end" in each.message for each in caplog.records)
    assert [name for name, _, _ in heard.of(result)] == ["enqueued", "started"]


def test_a_stubborn_job_is_handed_back_and_its_end_is_refused(
    worker: Start, heard: Heard, caplog: Any
) -> None:
    first = worker()
    result = tasks.wait_at.enqueue("here")
    assert tasks.gates["here"].entered.wait(20)

    first.stop(0.5)

    result.refresh()
    assert (result.status, result.errors) == (TaskResultStatus.READY, [])
    [record] = [record for record in caplog.records if "was handed back" in record.message]
    assert (record.levelno, record.job) == (logging.WARNING, result.id)

    gate = tasks.gates["here"]
    gate.entered.clear()
    worker()
    assert gate.entered.wait(20)  # it runs again
    result.refresh()
    current = result.worker_ids[-1]
    gate.opened.set()  # and both attempts end

    assert ended(result).return_value == "here"
    until(lambda: heard.has_finished(result))
    until(lambda: first.service.facts()["running"] == 0)
    assert result.worker_ids[-1] == current
    assert len(result.worker_ids) == 2
    assert [name for name, _, _ in heard.of(result)].count("finished") == 1


def test_a_stop_without_time_hands_back_at_once(worker: Start) -> None:
    running = worker()
    result = tasks.wait_at.enqueue("here")
    assert tasks.gates["here"].entered.wait(20)

    running.stop(0)

    result.refresh()
    assert result.status == TaskResultStatus.READY


def test_an_idle_worker_stops_at_once(worker: Start) -> None:
    running = worker(poll_interval=3600)
    running.wait_until_ready()

    running.stop()


def test_a_stop_before_it_began_is_harmless() -> None:
    from hosting.cancellation import CancellationToken

    TaskWorker().stop(CancellationToken())


# Outages


def test_it_survives_a_missing_table(worker: Start, caplog: Any) -> None:
    table = Job._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
    try:
        running = worker()
        until(lambda: any("manage.py migrate" in record.message for record in caplog.records))
        assert not running.runtime.is_ready.is_set()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE away RENAME TO {table}")

    assert ended(tasks.add.enqueue(1)).return_value == 1
    assert (
        len([record for record in caplog.records if "cannot use the database" in record.message])
        == 1
    )
    assert len([record for record in caplog.records if "again, after" in record.message]) == 1
    *degraded, last = running.runtime.conditions
    assert all(each.startswith("the database 'default' is away: ") for each in degraded)
    assert (len(degraded) > 0, last) == (True, "")


def test_it_gives_signs_of_life_while_there_is_nothing_to_do(worker: Start) -> None:
    running = worker()
    until(lambda: running.runtime.beats > 3)


def test_an_outcome_outlives_an_outage(worker: Start, caplog: Any) -> None:
    worker()
    result = tasks.wait_at.enqueue("here")
    assert tasks.gates["here"].entered.wait(20)
    table = Job._meta.db_table
    caplog.clear()
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
    try:
        tasks.gates["here"].opened.set()
        until(lambda: any("cannot use the database" in r.message for r in caplog.records))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE away RENAME TO {table}")

    assert ended(result).return_value == "here"
    assert result.attempts == 1


def test_a_stop_during_an_outage_says_what_is_lost(worker: Start, caplog: Any) -> None:
    running = worker()
    result = tasks.wait_at.enqueue("here")
    assert tasks.gates["here"].entered.wait(20)
    table = Job._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
    try:
        tasks.gates["here"].opened.set()
        running.stop(0.5)
        until(lambda: any("is lost" in record.message for record in caplog.records))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE away RENAME TO {table}")
    assert any(getattr(record, "job", "") == result.id for record in caplog.records)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="asks PostgreSQL to do it")
def test_it_survives_the_loss_of_its_connections(worker: Start) -> None:
    worker()
    result = tasks.wait_at.enqueue("here")
    assert tasks.gates["here"].entered.wait(20)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    tasks.gates["here"].opened.set()

    assert ended(result).return_value == "here"
    assert result.attempts == 1
    assert ended(tasks.add.enqueue(1)).return_value == 1


# Options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backend": 5}, "backend is 5, allowed: an alias in TASKS"),
        ({"queues": "mail"}, "queues is 'mail', allowed: a list of names, or None"),
        ({"queues": []}, "queues is [], allowed"),
        ({"queues": [1]}, "queues is [1], allowed"),
        ({"concurrency": 0}, "concurrency is 0, allowed: a whole number, 1 or more"),
        ({"concurrency": True}, "concurrency is True"),
        ({"concurrency": "4"}, "concurrency is '4'"),
        (
            {"poll_interval": 0},
            "poll_interval is 0, allowed: a finite number of seconds, more than 0",
        ),
        ({"poll_interval": float("nan")}, "poll_interval is nan"),
        ({"poll_interval": None}, "poll_interval is None"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    [problem] = TaskWorker.check_options(options)
    assert words in problem
    with pytest.raises(ValueError, match=r"allowed: ") as raised:
        TaskWorker(**options)
    assert str(raised.value) == problem


def test_an_unknown_option_is_named() -> None:
    [problem] = TaskWorker.check_options({"concurency": 4})
    assert "did you mean 'concurrency'?" in problem


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backend": "defualt"}, "backend is 'defualt', which is not in TASKS, allowed: "),
        ({"backend": "dummy"}, "which is a "),
        ({"backend": "missing"}, "which cannot be used: Could not find backend"),
        (
            {"queues": ["mial"]},
            "queues contains 'mial', which is not in TASKS['default']['QUEUES']",
        ),
    ],
)
def test_a_backend_that_cannot_be_served_is_named(
    settings: Any, options: dict[str, Any], words: str
) -> None:
    dummy = type(task_backends["default"]).__mro__[1].__module__.rpartition(".")[0]
    settings.TASKS = {
        "default": {"BACKEND": BACKEND, "QUEUES": ["mail", "default"]},
        "dummy": {"BACKEND": f"{dummy}.dummy.DummyBackend"},
        "missing": {"BACKEND": "no.such.Backend"},
    }

    [problem] = TaskWorker.check_options(options)
    assert words in problem
    from hosting.cancellation import CancellationToken

    with pytest.raises(ConfigurationError) as raised:
        TaskWorker(**options).execute(CancellationToken())
    assert str(raised.value) == problem
    assert list(TaskWorker.check_options({"queues": ["mail"], "concurrency": 2})) == []


def test_only_a_worker_at_rest_makes_claims_that_may_be_lost(
    worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that makes the database crash is claimed again right after that: for good, then."""
    may_be_lost: list[bool] = []
    troubles: list[Exception] = []
    exchanging = threading.Lock()
    store_class: Any = type(store_for("default"))
    exchange = store_class.exchange

    def note_and_exchange(self: Any, settlements: Any, wanted: Any) -> Any:
        with exchanging:
            if wanted and troubles and Job.objects.filter(state="ready").exists():
                raise troubles.pop()
            done = exchange(self, settlements, wanted)
            if done.claims:
                may_be_lost.append(wanted.may_be_lost)
            return done

    monkeypatch.setattr(store_class, "exchange", note_and_exchange)
    first = tasks.add.enqueue(1)
    worker()
    ended(first)
    assert may_be_lost == [False]

    def has_rested() -> bool:
        ended(tasks.add.enqueue(1))
        return may_be_lost[-1]

    until(has_rested)
    with exchanging:  # or a claim that has begun already would take the job
        troubles.append(OperationalError("the server closed the connection"))
        result = tasks.add.enqueue(1)
    ended(result)
    assert not troubles
    assert not may_be_lost[-1]
    until(has_rested)
