"""`manage.py hosted_services`: what the project hosts, and where it runs now."""

import json
import os
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from hosting.models import HostProcess
from hosting.process.autostart import RULES
from hosting.process.servers import NAMES
from tests.processes import PATIENCE, Project
from tests.projects import declare, entry, wait_for_fact

SERVICES = [
    "tests.projects.services.Recorder",
    {"SERVICE": "tests.projects.services.Recorder", "NAME": "slow", "OPTIONS": {"stop_seconds": 2}},
    {"SERVICE": "tests.projects.services.Second", "RUN_IN": ["worker"], "RESTART": "always"},
    {"SERVICE": "tests.projects.services.Leaving", "ENABLED": False, "STOP_TIMEOUT": 3},
]


@pytest.fixture(autouse=True)
def _services(settings: Any) -> None:
    settings.HOSTED_SERVICES = SERVICES


def listing(*options: str) -> list[str]:
    out = StringIO()
    call_command("hosted_services", *options, stdout=out)
    return out.getvalue().splitlines()


@pytest.mark.django_db
class TestText:
    def test_a_line_for_each_service(self) -> None:
        lines = listing()

        assert [re.split(r"  +", line) for line in lines[:5]] == [
            ["NAME", "SERVICE", "RUNS IN", "RESTART", "RUNNING NOW"],
            ["Recorder", SERVICES[0], "web, worker", "on-failure", "nowhere"],
            ["slow", SERVICES[0], "web, worker", "on-failure", "nowhere"],
            ["Second", "tests.projects.services.Second", "worker", "always", "nowhere"],
            [
                "Leaving",
                "tests.projects.services.Leaving",
                "switched off",
                "on-failure",
                "nowhere",
            ],
        ]

    def test_and_whether_this_process_hosts(self) -> None:
        assert listing()[-1] == (
            "This process does not host services at start: "
            "tests start the services that they need themselves."
        )

    def test_explain_shows_the_facts_and_the_usual_processes(self) -> None:
        text = "\n".join(listing("--explain"))

        assert re.search(r"^  under_test +True$", text, re.MULTILINE)
        assert re.search(r"^  autostart +None$", text, re.MULTILINE)
        usual = text.partition("The usual processes of this project:\n")[2].splitlines()
        decided = [
            (match[1], match[2])
            for line in usual
            if (match := re.match(r"  (.+) (hosts|does not host) services at start: .+\.$", line))
        ]
        assert decided == [
            ("manage.py runserver (the process that watches)", "does not host"),
            ("manage.py runserver (the process that serves)", "hosts"),
            ("manage.py runserver --noreload", "hosts"),
            ("manage.py runworker", "does not host"),
            ("manage.py migrate", "does not host"),
            *((f"{server} (a process that serves)", "hosts") for server in NAMES),
            ("gunicorn (the arbiter)", "does not host"),
            ("any other program", "does not host"),
        ]
        assert len(usual) == len(decided)

    def test_explain_names_who_switched_it_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOSTING_AUTOSTART", "0")

        lines = listing("--explain")

        assert (
            "  manage.py runserver --noreload does not host services at start: "
            "HOSTING_AUTOSTART says that web processes do not host."
        ) in lines

    def test_explain_says_what_is_not_understood(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOSTING_AUTOSTART", "maybe")

        [line] = [line for line in listing("--explain") if "runserver --noreload" in line]

        assert "does not host services at start: The environment variable" in line
        assert "HOSTING_AUTOSTART is 'maybe', allowed: " in line
        assert line.endswith(".")
        assert not line.endswith("..")


@pytest.mark.django_db
def test_json_has_every_service_and_the_decision() -> None:
    found = json.loads("\n".join(listing("--format", "json")))

    assert set(found) == {"services", "process", "facts", "launches"}
    assert [service["name"] for service in found["services"]] == [
        "Recorder",
        "slow",
        "Second",
        "Leaving",
    ]
    assert found["services"][1] == {
        "name": "slow",
        "service": "tests.projects.services.Recorder",
        "run_in": ["web", "worker"],
        "restart": "on-failure",
        "stop_timeout": None,
        "singleton": False,
        "enabled": True,
        "options": {"stop_seconds": 2},
        "running": [],
    }
    assert found["process"]["decision"]["hosts"] is False
    assert found["process"]["decision"]["rule"] == "tests"
    rules = {rule.name for rule in RULES}
    assert {launch["decision"]["rule"] for launch in found["launches"]} <= rules
    assert found["facts"]["under_test"] is True


@pytest.mark.django_db
def test_options_that_are_not_json_are_shown_as_text(settings: Any) -> None:
    path = Path("some/where")
    settings.HOSTED_SERVICES = [{**entry(SERVICES[0]), "OPTIONS": {"stop_seconds": path}}]

    found = json.loads("\n".join(listing("--format", "json")))

    assert found["services"][0]["options"] == {"stop_seconds": os.fspath(path)}


@pytest.mark.django_db
def test_a_project_without_services(settings: Any) -> None:
    settings.HOSTED_SERVICES = []

    assert listing()[0].split() == ["NAME", "SERVICE", "RUNS", "IN", "RESTART", "RUNNING", "NOW"]
    assert json.loads("\n".join(listing("--format", "json")))["services"] == []


@pytest.mark.django_db
def test_a_copy_that_needs_a_look_says_so() -> None:
    copies = [
        {"name": "Recorder", "state": "running", "condition": "stuck", "reason": "no sign of life"},
        {"name": "slow", "state": "failed", "condition": "down", "reason": "has failed"},
    ]
    now = timezone.now()
    row = {"host_name": "here", "pid": 1, "kind": "worker", "version": "0"}
    HostProcess.objects.create(
        id="1", services=json.dumps(copies), started_at=now, seen_at=now, **row
    )

    lines = listing()

    assert lines[1].endswith("running, stuck, in worker 1 on here")
    assert lines[2].endswith("failed in worker 1 on here")


@pytest.mark.parametrize("options", [[], ["--explain"], ["--format", "json"]])
def test_wrong_settings_are_one_error_that_says_what(settings: Any, options: list[str]) -> None:
    settings.HOSTED_SERVICES = ["nowhere.Service"]

    with pytest.raises(CommandError, match=r"^HOSTED_SERVICES\[0\] .*nowhere"):
        listing(*options)


@pytest.mark.process
class TestOtherProcesses:
    @pytest.fixture
    def env(self) -> dict[str, str]:
        return declare("Recorder", {"SERVICE": "Second", "RUN_IN": ["web"]})

    @pytest.fixture
    def rows(self, project: Project) -> Iterator[None]:
        yield
        assert project.rows("SELECT pid FROM hosting_hostprocess") == []

    @pytest.mark.usefixtures("rows")
    def test_it_shows_what_a_worker_runs_now_and_nothing_of_one_that_has_ended(
        self, project: Project, env: dict[str, str]
    ) -> None:
        worker = project.start("runworker", "--no-reload", env=env)
        wait_for_fact(worker, "Recorder execute")
        project.wait_for_rows(
            "SELECT pid FROM hosting_hostprocess WHERE CAST(services AS text) LIKE %s",
            "%running%",
        )

        shown = json.loads(project.run("hosted_services", "--format", "json", env=env).output)
        text = project.run("hosted_services", env=env).lines

        [recorder, second] = shown["services"]
        [copy] = recorder["running"]
        assert (copy["kind"], copy["pid"], copy["state"]) == ("worker", worker.pid, "running")
        assert (copy["condition"], copy["reason"], copy["beat_at"]) == ("healthy", "", None)
        assert second["running"] == []
        assert f"running in worker {worker.pid} on {copy['host_name']}" in text[1]
        assert text[2].endswith("nowhere")

        worker.terminate()
        assert worker.wait_all_gone(PATIENCE) == 0
        shown = json.loads(project.run("hosted_services", "--format", "json", env=env).output)
        assert [service["running"] for service in shown["services"]] == [[], []]

    def test_without_tables_it_shows_the_rest(
        self, project: Project, env: dict[str, str], tmp_path: Path
    ) -> None:
        project.run("migrate", "hosting", "zero", env=env)

        text = project.run("hosted_services", "--explain", env=env).lines
        shown = json.loads(project.run("hosted_services", "--format", "json", env=env).output)

        assert text[1].startswith("Recorder  ")
        assert text[1].endswith("unknown (is the database there and migrated?)")
        assert [service["running"] for service in shown["services"]] == [None, None]

    def test_without_a_database_it_shows_the_rest(
        self, project: Project, env: dict[str, str], tmp_path: Path
    ) -> None:
        nowhere = {"DATABASE_URL": f"sqlite:///{tmp_path}/missing/db.sqlite3"}

        process = project.run("hosted_services", env={**env, **nowhere})

        assert process.lines[1].endswith("unknown (is the database there and migrated?)")
