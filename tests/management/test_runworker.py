"""The arguments of `manage.py runworker`; `tests.process.test_worker` shows what it does."""

import socket
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV

from hosting.conf import HostingSettings
from hosting.host import Host
from hosting.management.commands import runworker as runworker_command
from hosting.process import current, reloading, worker
from hosting.process.asking import ask_at
from hosting.process.probes import ProbeServer
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
    monkeypatch.setattr(current, "_host", None)
    monkeypatch.setattr(current, "_absence", (0, ""))
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


def test_a_choice_that_leaves_nothing_over_is_one_error(hosted: list[list[str]]) -> None:
    choice = ("--only", "third", "--exclude", "third")
    with pytest.raises(CommandError, match=r"^No service is left: .* choose none, allowed: "):
        call_command("runworker", "--no-reload", *choice, skip_checks=True)
    assert hosted == []


def test_wrong_settings_are_one_error_that_says_what(
    hosted: list[list[str]], settings: Any
) -> None:
    settings.HOSTING = {"SHUTDOWN_TIMOUT": 3}

    with pytest.raises(CommandError, match=r"'SHUTDOWN_TIMOUT', .* 'SHUTDOWN_TIMEOUT'\?"):
        call_command("runworker", "--no-reload", skip_checks=True)

    assert hosted == []


@pytest.mark.parametrize("option", ["--processes", "--max-jobs", "--max-memory"])
@pytest.mark.parametrize("value", ["0", "-1", "2.5", "many", "", "1e3"])
def test_a_number_that_is_none_is_one_error_that_says_what_is_allowed(
    hosted: list[list[str]], option: str, value: str
) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("runworker", f"{option}={value}", skip_checks=True)

    allowed = "1 to 256" if option == "--processes" else "1 or more"
    assert str(caught.value) == f"{option} is {value!r}, allowed: a whole number, {allowed}"
    assert hosted == []


@pytest.mark.parametrize("number", [0, True, 257, 2.5])
def test_so_is_one_of_a_call(hosted: list[list[str]], number: object) -> None:
    with pytest.raises(CommandError, match=f"--processes is {number!r}, allowed: "):
        call_command("runworker", processes=number, skip_checks=True)


@pytest.mark.parametrize("other", ["--reload", "--interactive"])
def test_options_for_one_process_exclude_several(hosted: list[list[str]], other: str) -> None:
    name = other.partition("=")[0]
    with pytest.raises(CommandError, match=f"--processes and {name} exclude each other"):
        call_command("runworker", "--processes=2", other, skip_checks=True)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:0", "allowed with several processes: a port from 1 on, the first one's"),
        ("127.0.0.1:65535", "which makes 65536 the port of process 2, allowed: up to 65535"),
        ("nowhere", "allowed: HOST:PORT, such as 127.0.0.1:8081"),
        ("192.0.2.1:8081", "and 192.0.2.1:8082 cannot be used: "),
    ],
)
def test_an_address_that_several_processes_cannot_use_starts_none(
    hosted: list[list[str]], address: str, words: str
) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("runworker", "--processes=2", f"--health={address}", skip_checks=True)
    assert str(caught.value).startswith(f"--health is {address!r}, {words}")
    assert hosted == []


class TestSeveralProcesses:
    @pytest.fixture
    def supervised(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[str]]]:
        """How many children each supervisor was to have, and with which arguments."""
        ran: list[tuple[int, list[str]]] = []

        def run(count: int, arguments: list[str], settings: HostingSettings) -> int:
            ran.append((count, arguments))
            return 7

        monkeypatch.setattr(runworker_command, "supervise", run)
        return ran

    def supervise(self, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
        """As `manage.py runworker --processes 3`."""
        arguments = ["runworker", "--processes", "3", *options]
        monkeypatch.setattr(sys, "argv", [str(ROOT / "manage.py"), *arguments])
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
        call_command(*arguments, skip_checks=True)

    @pytest.mark.parametrize("debug", [True, False])
    def test_are_supervised_and_not_reloaded(
        self,
        hosted: list[list[str]],
        supervised: list[tuple[int, list[str]]],
        monkeypatch: pytest.MonkeyPatch,
        settings: Any,
        debug: bool,
    ) -> None:
        settings.DEBUG = debug
        with pytest.raises(SystemExit, match="7"):
            self.supervise(monkeypatch, "--only", "Second")

        [(count, arguments)] = supervised
        assert count == 3
        assert arguments[-4:] == ["runworker", "--only", "Second", "--no-reload"]
        assert hosted == []

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--only", "secnd"], "No service named 'secnd' runs in a worker"),
            (["--max-jobs", "3"], "--max-jobs counts the jobs of TaskWorkers, and this worker"),
            (["--max-memory", "1"], "--max-memory is 1 MB, and this process takes"),
        ],
    )
    def test_are_not_started_if_something_is_wrong(
        self,
        hosted: list[list[str]],
        supervised: list[tuple[int, list[str]]],
        monkeypatch: pytest.MonkeyPatch,
        options: list[str],
        words: str,
    ) -> None:
        with pytest.raises(CommandError, match=words):
            self.supervise(monkeypatch, *options)
        assert supervised == []

    def test_are_not_started_from_another_command(
        self, hosted: list[list[str]], supervised: list[tuple[int, list[str]]]
    ) -> None:
        with pytest.raises(CommandError, match="--processes starts the same command line again"):
            call_command("runworker", processes=2, skip_checks=True)
        assert supervised == []


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses at which the command has told of health."""
    urls: list[str] = []
    begin = ProbeServer.__init__

    def note(server: ProbeServer, address: str) -> None:
        begin(server, address)
        urls.append(f"{server.url}/health/ready")

    monkeypatch.setattr(ProbeServer, "__init__", note)
    return urls


@pytest.mark.parametrize("way", ["run_worker", "run_reloading_worker"])
def test_a_worker_tells_of_its_health_from_before_its_start_to_its_end(
    hosted: list[list[str]], served: list[str], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    answers: list[dict[str, Any]] = []

    def run(host: Host) -> int:
        answers.append(ask_at(served[0], PATIENCE))
        return 0

    monkeypatch.setattr(worker, way, run)
    monkeypatch.setenv(DJANGO_AUTORELOAD_ENV, "true")
    reload = "--reload" if way == "run_reloading_worker" else "--no-reload"
    with pytest.raises(SystemExit):
        call_command("runworker", reload, "--health", "127.0.0.1:0", skip_checks=True)

    assert answers[0]["reasons"] == ["its services have not started yet"]
    [reason] = ask_at(served[0], PATIENCE)["reasons"]
    assert reason.startswith("no answer")


def test_the_process_that_watches_the_files_leaves_the_port_to_its_child(
    hosted: list[list[str]], served: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "run_children", lambda: 0)
    monkeypatch.delenv(DJANGO_AUTORELOAD_ENV, raising=False)
    with pytest.raises(SystemExit):
        call_command("runworker", "--reload", "--health", "127.0.0.1:0", skip_checks=True)
    assert served == []


@pytest.mark.parametrize("address", ["8081", "::1:8081", "localhost", ""])
def test_a_bad_address_for_health_is_one_error(hosted: list[list[str]], address: str) -> None:
    with pytest.raises(
        CommandError, match=f"^--health is '{address}', allowed: HOST:PORT, such as"
    ):
        call_command("runworker", "--no-reload", "--health", address, skip_checks=True)
    assert hosted == []


def test_a_taken_port_is_one_error_and_nothing_starts(hosted: list[list[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        words = f"^--health is '{address}', which cannot be used: Address already in use$"
        with pytest.raises(CommandError, match=words):
            call_command("runworker", "--no-reload", "--health", address, skip_checks=True)
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
