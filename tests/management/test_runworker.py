"""The arguments of `manage.py runworker`; `tests.process.test_worker` shows what it does."""

import subprocess
import sys
import textwrap
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from hosting.host import Host
from hosting.process import worker
from tests.processes import PATIENCE, ROOT, Project
from tests.projects import declare, events

PATH = "tests.projects.services"


@pytest.fixture
def hosted(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of the services of each host that the command has run, which here ends at once."""
    settings.HOSTED_SERVICES = [
        f"{PATH}.Recorder",
        f"{PATH}.Second",
        {"SERVICE": f"{PATH}.Leaving", "NAME": "third"},
        {"SERVICE": f"{PATH}.Recorder", "NAME": "web-only", "RUN_IN": ["web"]},
        {"SERVICE": f"{PATH}.Recorder", "NAME": "off", "ENABLED": False},
    ]
    ran: list[list[str]] = []

    def run(host: Host) -> int:
        ran.append([name for name in host.names() if ":" not in name])
        return 7

    monkeypatch.setattr(worker, "run_worker", run)
    return ran


def runworker(*options: str) -> int:
    with pytest.raises(SystemExit) as ended:
        call_command("runworker", "--no-reload", *options, skip_checks=True)
    return int(str(ended.value.code))


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["Recorder", "Second", "third"]),
        (["--only", "Second"], ["Second"]),
        (["--only", "third", "Recorder"], ["Recorder", "third"]),
        (["--only", "third", "--only", "Recorder"], ["Recorder", "third"]),
        (["--exclude", "Second"], ["Recorder", "third"]),
        (["--exclude", "Second", "third"], ["Recorder"]),
        (["--exclude", "Second", "--exclude", "third"], ["Recorder"]),
        (["--only", "Second", "third", "--exclude", "third"], ["Second"]),
        (["--exclude", "Recorder", "Second", "third"], []),
    ],
)
def test_only_and_exclude_choose_among_the_services(
    hosted: list[list[str]], options: list[str], names: list[str]
) -> None:
    assert runworker(*options) == 7
    assert hosted == [names]


def test_the_choice_of_one_run_is_forgotten_in_the_next(hosted: list[list[str]]) -> None:
    runworker("--only", "Second")
    runworker("--only", "third")

    assert hosted == [["Second"], ["third"]]


@pytest.mark.parametrize("option", ["--only", "--exclude"])
@pytest.mark.parametrize("name", ["secnd", "web-only", "off"])
def test_a_name_that_no_worker_hosts_is_one_error_with_the_known_names(
    hosted: list[list[str]], option: str, name: str
) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("runworker", "--no-reload", option, "Second", name, skip_checks=True)

    [line] = str(caught.value).splitlines()
    assert line.startswith(
        f"No service named {name!r} runs in a worker, allowed: 'Recorder', 'Second', 'third'"
    )
    assert ("did you mean 'Second'?" in line) is (name == "secnd")
    assert hosted == []


def test_wrong_settings_are_one_error_that_says_what(
    hosted: list[list[str]], settings: Any
) -> None:
    settings.HOSTING = {"SHUTDOWN_TIMOUT": 3}

    with pytest.raises(CommandError, match=r"'SHUTDOWN_TIMOUT', .* 'SHUTDOWN_TIMEOUT'\?"):
        call_command("runworker", "--no-reload", skip_checks=True)

    assert hosted == []


@pytest.mark.process
@pytest.mark.parametrize("reload", ["--no-reload", "--reload"])
class TestRealProcesses:
    def test_a_choice_of_services(self, project: Project, reload: str) -> None:
        process = project.run(
            "runworker", reload, "--only", "Leaving", env=declare("Recorder", "Leaving")
        )

        assert {event.split()[0] for event in events(process)} == {"Leaving"}

    def test_an_unknown_name_is_one_line(self, project: Project, reload: str) -> None:
        process = project.run(
            "runworker", reload, "--only", "Recoder", env=declare("Recorder", "Second"), code=1
        )

        [line] = process.lines
        assert line.startswith("CommandError: No service named 'Recoder' runs in a worker")
        assert "did you mean 'Recorder'?" in line


def test_the_command_loads_where_there_is_no_terminal_support() -> None:
    """As on Windows."""
    script = """
        import sys
        sys.modules["termios"] = sys.modules["tty"] = sys.modules["pty"] = None
        import django
        django.setup()
        from hosting.management.commands.runworker import Command
        print(Command.__name__)
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env=Project("sqlite://:memory:").environment({"DJANGO_SETTINGS_MODULE": "config.settings"}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.stdout == "Command\n", done.stderr
