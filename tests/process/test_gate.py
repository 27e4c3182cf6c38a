"""Which real processes host: one that serves, and no other."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import ManagedProcess, Project
from tests.projects import declare, events, facts, wait_for_fact

pytestmark = pytest.mark.process

RECORDER = declare("Recorder")
SETTINGS = RECORDER["DJANGO_SETTINGS_MODULE"]

#: Tells what is there of a host, once whatever was begun had time to come up.
TELL = """
import threading
from hosting.process.current import current_host
mine = [t for t in threading.enumerate() if t.name.startswith("hosting:")]
for thread in mine:
    thread.join(0.5)
print("threads:", [t.name for t in mine], "host:", current_host())
"""
NOTHING = "threads: [] host: None"


@pytest.mark.parametrize("wish", ["auto", "1"])
@pytest.mark.parametrize(
    "command",
    [
        ("migrate",),
        ("check",),
        ("makemigrations", "--check", "--dry-run"),
        ("hosted_services",),
        ("tell",),
        ("help",),
    ],
    ids=" ".join,
)
def test_no_other_command_hosts(project: Project, command: tuple[str, ...], wish: str) -> None:
    process = project.run(*command, env={**RECORDER, "HOSTING_AUTOSTART": wish})

    assert [event for event in events(process) if event != "command ran"] == []
    assert "Not hosting" not in process.output


@pytest.mark.parametrize("wish", ["auto", "1"])
def test_the_shell_does_not_host(project: Project, wish: str) -> None:
    process = project.run("shell", "-c", TELL, env={**RECORDER, "HOSTING_AUTOSTART": wish})

    assert NOTHING in process.lines


@pytest.mark.parametrize("wish", ["auto", "1"])
def test_the_test_runner_does_not_host(project: Project, tmp_path: Path, wish: str) -> None:
    (tmp_path / "test_nothing_hosts.py").write_text(
        "from django.test import SimpleTestCase\n"
        "class NothingHosts(SimpleTestCase):\n"
        f"    def test_it(self):\n        exec({TELL!r})\n"
    )

    process = project.run(
        "test",
        "test_nothing_hosts",
        env={**RECORDER, "HOSTING_AUTOSTART": wish, "PYTHONPATH": str(tmp_path)},
    )

    assert NOTHING in process.lines


SETUP = ("-c", f"import django; django.setup()\n{TELL}")


def test_a_bare_setup_does_not_host(project: Project) -> None:
    process = project.run(program=SETUP, env=RECORDER)

    assert NOTHING in process.lines
    assert events(process) == []


def test_a_bare_setup_hosts_if_the_environment_says_so(project: Project) -> None:
    process = project.run(program=SETUP, env={**RECORDER, "HOSTING_AUTOSTART": "1"})

    assert "host: None" not in process.output
    assert events(process)[0] == "Recorder start"
    assert events(process)[-1] == "Recorder close"


def test_under_the_autoreloader_exactly_the_child_hosts(project: Project) -> None:
    process, _ = project.runserver(env=RECORDER)
    wait_for_fact(process, "Recorder execute")
    process.interrupt()
    process.wait_all_gone()

    assert events(process).count("Recorder start") == 1
    [pid] = {fact.pid for fact in facts(process)}
    assert pid != process.pid


@pytest.mark.parametrize("option", ["--noreload", "--nor"])
def test_without_the_autoreloader_the_one_process_hosts(project: Project, option: str) -> None:
    process, _ = project.runserver(option, env=RECORDER)
    wait_for_fact(process, "Recorder execute")
    process.terminate()
    process.wait_all_gone()

    assert events(process).count("Recorder start") == 1
    assert {fact.pid for fact in facts(process)} == {process.pid}


Ending = Callable[[ManagedProcess], object]


@pytest.mark.parametrize("options", [(), ("--noreload",)], ids=["autoreload", "noreload"])
@pytest.mark.parametrize(
    "wish",
    [
        {"HOSTING_AUTOSTART": "0"},
        {
            **declare("Recorder", settings={"HOSTING": {"AUTOSTART": False}}),
            "HOSTING_AUTOSTART": None,
        },
    ],
    ids=["environment", "setting"],
)
def test_switched_off_runserver_serves_and_hosts_nothing(
    project: Project, options: tuple[str, ...], wish: dict[str, str | None]
) -> None:
    process, _ = project.runserver(*options, env={**RECORDER, **wish})
    process.wait_for_line("Quit the server")
    process.interrupt()

    assert process.wait_all_gone() == 0
    assert events(process) == []


class TestAWishThatIsNotUnderstood:
    ENV = {**RECORDER, "HOSTING_AUTOSTART": "maybe"}
    WORDS = "The environment variable HOSTING_AUTOSTART is 'maybe', allowed: "

    def test_check_says_so_in_one_line(self, project: Project) -> None:
        process = project.run("check", env=self.ENV, code=1)

        [line] = [line for line in process.lines if "maybe" in line]
        assert line.startswith(f"?: (hosting.E023) {self.WORDS}")

    def test_check_says_it_once_if_the_settings_hand_it_on(self, project: Project) -> None:
        settings = {"HOSTING": {"AUTOSTART": "maybe"}}
        env = {**self.ENV, **declare("Recorder", settings=settings)}

        process = project.run("check", env=env, code=1)

        [line] = [line for line in process.lines if "maybe" in line]
        assert line.startswith("?: (hosting.E022) HOSTING: AUTOSTART is 'maybe', allowed: ")

    def test_runserver_says_so_at_the_start_and_hosts_nothing(self, project: Project) -> None:
        process = project.run("runserver", "127.0.0.1:0", "--noreload", env=self.ENV, code=1)

        assert re.search(rf"Not hosting in process \d+: {re.escape(self.WORDS)}", process.output)
        assert events(process) == []

    def test_the_autoreloaders_child_says_so_and_waits_for_a_repair(
        self, project: Project, tmp_path: Path
    ) -> None:
        process = project.start("runserver", "127.0.0.1:0", env=self.ENV)
        process.wait_for_line(rf"^Not hosting in process \d+: {re.escape(self.WORDS)}")
        process.wait_for_line("hosting.E023")
        process.terminate()

        assert process.wait_all_gone() == 0
        assert process.output.count("Not hosting") == 1
        assert events(process) == []

    def test_a_worker_does_not_start(self, project: Project) -> None:
        process = project.run("runworker", env=self.ENV, code=1)

        [line] = [line for line in process.lines if "maybe" in line]
        assert line.startswith(f"?: (hosting.E023) {self.WORDS}")
        assert events(process) == []
