"""`manage.py tasks`: what an operator sees of jobs, and does with them."""

from __future__ import annotations

import json
import re
import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection
from django.test.utils import CaptureQueriesContext

from hosting.compat import TaskResultStatus
from hosting.management.commands import tasks as tasks_command
from hosting.models import Job
from hosting.queues.stores import browsing
from hosting.testing import drain
from tests.testing import tasks

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_calls() -> None:
    tasks.calls.clear()


def run(*arguments: str) -> tuple[list[str], list[str]]:
    """The lines of both outputs."""
    out, err = StringIO(), StringIO()
    call_command("tasks", *arguments, stdout=out, stderr=err)
    return out.getvalue().splitlines(), err.getvalue().splitlines()


def listed(*arguments: str) -> list[str]:
    """The ids in a list, in its order."""
    found = json.loads("\n".join(run("list", "--format", "json", *arguments)[0]))
    return [job["id"] for job in found["jobs"]]


class TestList:
    def test_the_newest_come_first_whether_they_have_ended_or_not(self) -> None:
        ended = tasks.note.enqueue("a")
        drain()
        waiting = tasks.note.using(run_after=timedelta(hours=1)).enqueue("b")
        ready = tasks.once.using(queue_name="mail", priority=7).enqueue("c")

        lines, _ = run("list")

        assert [re.split(r"  +", line)[:5] for line in lines] == [
            ["ID", "STATE", "QUEUE", "PRIORITY", "TASK"],
            [ready.id, "ready", "mail", "7", "tests.testing.tasks.once"],
            [waiting.id, "waiting", "default", "0", "tests.testing.tasks.note"],
            [ended.id, "successful", "default", "0", "tests.testing.tasks.note"],
        ]

    def test_filters(self) -> None:
        note, mail = tasks.note.enqueue("a"), tasks.note.using(queue_name="mail").enqueue("b")
        failed = tasks.fail.using(queue_name="failing").enqueue()
        drain(queues=["failing"], errors="collect")

        assert listed("--state", "failed") == [failed.id]
        assert listed("--state", "ready") == [mail.id, note.id]
        assert listed("--queue", "mail") == [mail.id]
        assert listed("--task", "tests.testing.tasks.fail") == [failed.id]
        assert listed("--limit", "1") == [failed.id]
        assert listed("--state", "running") == []

    def test_in_the_order_of_claims(self) -> None:
        low, high = (tasks.note.using(priority=each).enqueue(each) for each in (-1, 1))
        other = tasks.once.using(queue_name="mail").enqueue("b")
        tasks.note.using(run_after=timedelta(hours=1)).enqueue("later")

        assert listed("--order", "claims") == [high.id, other.id, low.id]
        assert listed("--order", "claims", "--limit", "1") == [high.id]
        assert listed("--order", "claims", "--queue", "mail") == [other.id]
        assert listed("--order", "claims", "--task", "tests.testing.tasks.note") == [
            high.id,
            low.id,
        ]

    def test_only_what_is_ready_has_an_order_of_claims(self) -> None:
        with pytest.raises(CommandError, match="--state is 'failed', allowed with --order claims"):
            run("list", "--order", "claims", "--state", "failed")

    def test_a_search_ends_and_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (browsing, __import__("hosting.management.commands.tasks", fromlist=["x"])):
            monkeypatch.setattr(module, "WINDOW", 3)
        old = tasks.once.enqueue("old")
        for what in range(3):
            tasks.note.enqueue(what)

        lines, said = run("list", "--task", "tests.testing.tasks.once")

        assert lines == ["No such job."]
        assert said == ["Only the newest 3 jobs were looked at; there may be more."]
        assert run("list", "--task", "tests.testing.tasks.note", "--limit", "3")[1] == []
        Job.objects.filter(id=old.id).delete()
        assert run("list", "--task", "tests.testing.tasks.once")[1] == []

    @pytest.mark.parametrize(
        "arguments",
        [(), ("--state", "ready"), ("--state", "failed"), ("--task", "a.b"), ("--queue", "mail")],
        ids=str,
    )
    def test_no_search_reads_a_whole_table(self, arguments: tuple[str, ...]) -> None:
        with CaptureQueriesContext(connection) as captured:
            run("list", *arguments)

        selects = [each["sql"] for each in captured if each["sql"].startswith("SELECT")]
        assert selects
        assert all(" LIMIT " in sql for sql in selects)

    def test_json(self) -> None:
        result = tasks.note.enqueue("a")

        found = json.loads("\n".join(run("list", "--format", "json")[0]))

        [job] = found["jobs"]
        assert found["was_cut_short"] is False
        assert job["id"] == result.id
        assert job["enqueued_at"] == job["due_at"] == result.enqueued_at.isoformat()
        assert (job["state"], job["finished_at"]) == ("ready", None)

    @pytest.mark.parametrize("limit", ["0", "10001", "many"])
    def test_a_limit_that_is_not_allowed(self, limit: str) -> None:
        with pytest.raises(CommandError, match="allowed: a whole number, 1 to 10000"):
            run("list", "--limit", limit)


@pytest.mark.parametrize("action", ["list", "show", "cancel"])
def test_a_database_that_is_not_migrated(monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    def asked(*arguments: object) -> None:
        raise ProgrammingError("no such table\nLINE 1: SELECT")

    for name in ("browse", "details"):
        monkeypatch.setattr(tasks_command, name, asked)
    some = [] if action == "list" else [str(uuid.uuid4())]
    with pytest.raises(CommandError, match=r"\(no such table\): is it migrated"):
        run(action, *some)


class TestShow:
    def test_all_that_is_stored(self) -> None:
        result = tasks.fail.using(max_attempts=2).enqueue("as told")
        drain(retries=True, errors="collect")

        lines, _ = run("show", result.id)

        assert lines[:3] == [
            f"id                {result.id}",
            "task              tests.testing.tasks.fail",
            "state             failed",
        ]
        assert 'args              ["as told"]' in lines
        assert [line for line in lines if line.startswith("Error ")] == [
            "Error 1 of 2: builtins.LookupError",
            "Error 2 of 2: builtins.LookupError",
        ]
        assert lines.count("  LookupError: as told") == 2

    def test_in_json(self) -> None:
        result = tasks.note.using(run_after=timedelta(hours=1)).enqueue("a")

        found = json.loads("\n".join(run("show", result.id, "--format", "json")[0]))

        assert (found["state"], found["args"], found["attempts"]) == ("waiting", ["a"], 0)
        assert found["timeline"]["run_after"] == found["timeline"]["due_at"]
        assert found["timeline"]["finished_at"] is None

    def test_the_result_of_a_success(self) -> None:
        result = tasks.note.enqueue({"a": 1})
        drain()

        assert 'return_value      {"a": 1}' in run("show", result.id)[0]

    def test_an_unknown_job(self) -> None:
        unknown = uuid.uuid4()
        with pytest.raises(CommandError, match=f"There is no job {unknown} in the backend 'def"):
            run("show", str(unknown))

    def test_a_task_that_is_gone_is_shown_too(self) -> None:
        result = tasks.note.enqueue("a")
        Job.objects.update(task_path="gone.task")

        assert "task              gone.task" in run("show", result.id)[0]


class TestSteering:
    def test_cancel_then_discard(self) -> None:
        result = tasks.note.enqueue("a")

        assert run("cancel", result.id)[0] == [f"{result.id}: cancelled"]
        result.refresh()
        assert result.status == TaskResultStatus.FAILED
        assert run("discard", result.id)[0] == [f"{result.id}: forgotten"]
        assert listed() == []

    def test_retry(self) -> None:
        result = tasks.fail.enqueue()
        drain(errors="collect")

        assert run("retry", result.id)[0] == [f"{result.id}: runs again"]
        assert listed("--state", "ready") == [result.id]

    def test_a_job_that_runs_is_asked_to_end(self) -> None:
        result = tasks.note.enqueue("a")
        Job.objects.update(state="running", claimed_by="somebody")

        assert run("cancel", result.id)[0] == [f"{result.id}: was asked to end"]
        assert Job.objects.get().cancel_requested

    def test_what_was_not_changed_is_named_and_the_rest_done(self) -> None:
        ready, ended, unknown = tasks.note.enqueue("a"), tasks.note.enqueue("b"), uuid.uuid4()
        run("cancel", ended.id)
        out, err = StringIO(), StringIO()

        with pytest.raises(CommandError, match="2 of 3 jobs were not changed") as caught:
            call_command(
                "tasks", "cancel", ready.id, ended.id, str(unknown), stdout=out, stderr=err
            )

        assert caught.value.returncode == 1
        assert out.getvalue().splitlines() == [f"{ready.id}: cancelled"]
        assert err.getvalue().splitlines() == [
            f"{ended.id} is failed: only a job that has not ended can be cancelled",
            f"{unknown}: there is no such job in 'default'",
        ]

    def test_a_job_of_another_backend_is_left_alone(self) -> None:
        result = tasks.note.enqueue("a")
        Job.objects.update(backend="other")

        with pytest.raises(CommandError):
            run("discard", result.id)

        assert Job.objects.filter(id=result.id).exists()

    def test_no_id(self) -> None:
        with pytest.raises(CommandError, match="'1' is no id of a job, allowed: a UUID"):
            run("cancel", "1")

    def test_an_unknown_backend(self) -> None:
        with pytest.raises(CommandError, match=r"--backend is 'defualt'.*did you mean 'default'"):
            run("list", "--backend", "defualt")

    def test_a_backend_without_a_database(self, settings: Any) -> None:
        package = TaskResultStatus.__module__.rpartition(".")[0]
        settings.TASKS = {"default": {"BACKEND": f"{package}.backends.dummy.DummyBackend"}}
        with pytest.raises(CommandError, match="'default' is a DummyBackend, allowed"):
            run("list")
