"""`DatabaseBackend` fulfils the contract of Django's task API."""

import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import checks
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosting.compat import (
    InvalidTask,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
    task_backends,
    task_enqueued,
)
from hosting.exceptions import ArgumentError, ConfigurationError
from hosting.models import Job
from hosting.queues import DatabaseBackend
from hosting.queues.resolution import UnknownTask
from hosting.queues.stores import store_for
from hosting.queues.stores.values import Settlement, Succeeded, Wanted
from hosting.queues.wakeup import subscribed
from tests.queues import tasks
from tests.queues.conftest import Heard

BACKEND = "hosting.queues.DatabaseBackend"


# Enqueueing


@pytest.mark.django_db
def test_an_enqueued_task_is_ready() -> None:
    result = tasks.add.enqueue(1, b=2)

    assert result.status == TaskResultStatus.READY
    assert (result.args, result.kwargs, result.backend) == ([1], {"b": 2}, "default")
    assert (result.errors, result.worker_ids, result.attempts) == ([], [], 0)
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    assert result.enqueued_at is not None
    assert result.task == tasks.add
    assert len(result.id) < 64
    assert not result.is_finished
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value


@pytest.mark.django_db
def test_get_result_gives_what_enqueue_gave() -> None:
    at = timezone.now() + timedelta(hours=1)
    varied = tasks.add.using(priority=7, queue_name="mail", run_after=at)
    result = varied.enqueue({1: (2, b"x")}, b=[])

    again = tasks.add.get_result(result.id)

    assert again == result
    assert again.args == [{"1": [2, "x"]}]
    assert (again.task.priority, again.task.queue_name, again.task.run_after) == (7, "mail", at)


@pytest.mark.django_db(transaction=True)
def test_the_async_methods_do_the_same() -> None:
    from asgiref.sync import async_to_sync

    result = async_to_sync(tasks.aadd.aenqueue)(1)

    assert async_to_sync(tasks.aadd.aget_result)(result.id) == result
    async_to_sync(result.arefresh)()


@pytest.mark.django_db
def test_a_refreshed_result_is_up_to_date() -> None:
    result = tasks.add.enqueue(1)
    store = store_for("default")
    [claim] = store.claim(Wanted("w", "default", None, 1))
    store.settle([Settlement(claim.id, claim.fence, Succeeded("3"))])

    result.refresh()

    assert result.return_value == 3


@pytest.mark.django_db(transaction=True)
def test_a_job_commits_with_the_callers_transaction() -> None:
    with transaction.atomic():
        tasks.add.enqueue(1)
        assert Job.objects.exists()
        transaction.set_rollback(True)
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_local_workers_are_woken_after_the_commit() -> None:
    woken: list[int] = []
    with subscribed("default", lambda: woken.append(Job.objects.count())):
        with transaction.atomic():
            tasks.add.enqueue(1)
            assert woken == []
        assert woken == [1]
        with subscribed("other", lambda: woken.append(-1)):
            tasks.add.enqueue(1)
    tasks.add.enqueue(1)

    assert woken == [1, 2]


@pytest.mark.django_db
def test_enqueueing_is_announced_with_the_class_as_sender(heard: Heard) -> None:
    result = tasks.add.enqueue(1)

    assert heard.signals == [("enqueued", DatabaseBackend, result)]


@pytest.mark.django_db
def test_a_receiver_that_raises_does_not_lose_the_job() -> None:
    def raise_it(**kwargs: Any) -> None:
        raise RuntimeError

    task_enqueued.connect(raise_it)
    try:
        result = tasks.add.enqueue(1)
    finally:
        task_enqueued.disconnect(raise_it)

    assert tasks.add.get_result(result.id) == result


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), object(), timezone.now(), {1: 2, "1": 3}]
)
def test_an_argument_that_is_not_json_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ArgumentError, match=r"Argument 'b' of tests\.queues\.tasks\.add"):
        tasks.add.enqueue(1, b=value)
    with pytest.raises(TypeError, match=r"Argument 1 of tests\.queues\.tasks\.add"):
        tasks.add.enqueue(value)
    assert not Job.objects.exists()


def test_a_task_that_no_worker_would_find_is_refused() -> None:
    with pytest.raises(InvalidTask, match=r"'tests\.queues\.tasks\.plain_function' is a function"):
        tasks.renamed.enqueue("x")


@pytest.mark.parametrize("name", ["x" * 129, "y" * 1000])
def test_a_queue_name_that_cannot_be_stored_is_refused(name: str) -> None:
    with pytest.raises(InvalidTask, match="more than 128 characters"):
        tasks.add.using(queue_name=name)


@pytest.mark.parametrize(
    "change",
    [{"priority": 101}, {"priority": -101}, {"priority": 1.5}, {"run_after": datetime(2030, 1, 1)}],
)
def test_django_s_own_rules_hold(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask):
        tasks.add.using(**change)


def test_an_unknown_queue_is_refused(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": ["default"]}}

    with pytest.raises(InvalidTask, match="'mail' is not valid"):
        tasks.add.using(queue_name="mail")


def test_it_supports_everything() -> None:
    backend = task_backends["default"]

    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority


# Results


@pytest.mark.django_db
@pytest.mark.parametrize(
    "result_id", ["", "123", "x" * 1000, "\x00", "01a1fc00-0000-7000-8000-000000000000", 5, None]
)
def test_an_id_without_a_result(result_id: Any) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(result_id)
    with pytest.raises(TaskResultDoesNotExist):
        tasks.add.get_result(result_id)


@pytest.mark.django_db
def test_an_id_has_one_spelling() -> None:
    result = tasks.add.enqueue(1)

    for spelling in (result.id.upper(), result.id.replace("-", ""), f"{{{result.id}}}"):
        if spelling != result.id:
            with pytest.raises(TaskResultDoesNotExist):
                tasks.add.get_result(spelling)


@pytest.mark.django_db
def test_another_task_s_result_is_a_mismatch() -> None:
    result = tasks.add.enqueue(1)

    with pytest.raises(TaskResultMismatch):
        tasks.note.get_result(result.id)


@pytest.mark.django_db
def test_backends_that_share_a_table_do_not_see_each_others_results(settings: Any) -> None:
    entry = {"BACKEND": BACKEND, "QUEUES": []}
    settings.TASKS = {"default": entry, "other": entry}
    result = tasks.add.using(backend="other").enqueue(1)

    assert result.backend == "other"
    assert task_backends["other"].get_result(result.id) == result
    with pytest.raises(TaskResultDoesNotExist):
        task_backends["default"].get_result(result.id)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["tests.queues.tasks.gone", "os.system", "nowhere.at.all", ""])
def test_the_result_of_a_task_that_is_gone(path: str) -> None:
    result = tasks.add.enqueue(1)
    Job.objects.update(task_path=path)

    with pytest.raises(UnknownTask, match=f"'{path}' is no task"):
        task_backends["default"].get_result(result.id)


@pytest.mark.django_db
def test_the_result_of_a_queue_that_is_gone(settings: Any) -> None:
    result = tasks.add.using(queue_name="mail").enqueue(1)
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": ["default"]}}

    assert task_backends["default"].get_result(result.id).id == result.id


@pytest.mark.django_db
def test_the_result_of_a_damaged_row_tells_of_the_damage() -> None:
    result = tasks.add.enqueue(1)
    Job.objects.update(args="nonsense")

    [error] = tasks.add.get_result(result.id).errors

    assert "args: Expecting value" in error.traceback
    assert error.exception_class.__name__ == "DamagedJob"


# Settings


def entry(**params: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": BACKEND, **params}}


@pytest.mark.parametrize(
    ("params", "id_", "words"),
    [
        (
            {"OPTIONS": {"DATABSE": "default"}},
            "hosting.E101",
            "TASKS['default']['OPTIONS']: unknown key 'DATABSE', "
            "allowed: 'DATABASE', 'DEAD_AFTER', 'LISTEN', 'MAX_ARGUMENTS_BYTES', "
            "'MAX_ATTEMPTS', 'RETENTION', 'UNKNOWN_TASKS'; did you mean 'DATABASE'?",
        ),
        (
            {"OPTIONS": {"DATABASE": "defualt"}},
            "hosting.E103",
            "TASKS['default']['OPTIONS']['DATABASE']: is 'defualt', which is not in DATABASES, "
            "allowed: 'default'; did you mean 'default'?",
        ),
        ({"OPTIONS": {"DATABASE": None}}, "hosting.E103", "is None"),
        ({"OPTIONS": {"DATABASE": ["default"]}}, "hosting.E103", "is ['default']"),
        *[
            (
                {"OPTIONS": {"MAX_ATTEMPTS": value}},
                "hosting.E102",
                f"TASKS['default']['OPTIONS']['MAX_ATTEMPTS']: is {value!r}, "
                "allowed: a whole number, 1 or more.",
            )
            for value in (0, -1, 1.5, "3", True, None)
        ],
        ({"OPTIONS": ["DATABASE"]}, "hosting.E102", "allowed: a dict"),
        ({"OPTIONS": None}, "hosting.E102", "is None, allowed: a dict"),
        ({"QUEUES": "mail"}, "hosting.E105", "is 'mail', allowed: a list of names"),
        ({"QUEUES": None}, "hosting.E105", "is None, allowed: a list of names"),
        ({"QUEUES": [["mail"]]}, "hosting.E105", "contains ['mail']"),
        ({"QUEUES": ["x" * 129]}, "hosting.E105", "names of 1 to 128 characters"),
    ],
)
def test_a_wrong_setting_is_reported_and_refused(
    settings: Any, params: dict[str, Any], id_: str, words: str
) -> None:
    settings.TASKS = entry(**params)
    backend = task_backends["default"]

    [error] = backend.check()

    assert (error.level, error.id) == (checks.ERROR, id_)
    assert words in error.msg
    with pytest.raises(ConfigurationError) as raised:
        _ = backend.store
    assert str(raised.value) == error.msg


def test_an_uninstalled_app_is_reported(settings: Any) -> None:
    installed = [app for app in settings.INSTALLED_APPS if app not in ("hosting", "messages_app")]
    backend = task_backends["default"]
    settings.INSTALLED_APPS = installed

    [error] = backend.check()

    assert (error.id, error.msg) == (
        "hosting.E104",
        "TASKS['default']['BACKEND']: 'hosting' is missing from INSTALLED_APPS.",
    )


def test_checks_ask_no_database(settings: Any) -> None:
    # Without the `django_db` mark, asking it would fail this test.
    settings.TASKS = entry(OPTIONS={"DATABASE": "default", "MAX_ATTEMPTS": 3})

    assert task_backends["default"].check() == []
    assert task_backends["default"].settings.max_attempts == 3


@pytest.mark.django_db
def test_one_statement_writes_and_few_read() -> None:
    store = store_for("default")
    with CaptureQueriesContext(connection) as queries:
        result = tasks.add.enqueue(1)
    assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) == 1

    with CaptureQueriesContext(connection) as queries:
        assert store.get([]) == {}
        tasks.add.get_result(result.id)
    assert len(queries) == 1


def test_the_backend_can_be_built_while_apps_load() -> None:
    program = """
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["hosting"] + (["django_tasks"] if django.VERSION < (6,) else []),
    TASKS={"default": {"BACKEND": "hosting.queues.DatabaseBackend", "QUEUES": []}},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
from hosting.compat import task, task_backends

@task
def early(): pass

import sys
assert task_backends["default"].supports_defer
assert "hosting.models" not in sys.modules
django.setup()
assert "hosting.models" in sys.modules
assert task_backends["default"].check() == []
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
