"""How `runserver` ends: gracefully, by whatever signal, with and without the autoreloader."""

import os
import signal
from pathlib import Path

import pytest

from tests.processes import ManagedProcess, Project
from tests.projects import declare, entry, events, facts, wait_for_fact

pytestmark = pytest.mark.process

#: Django gives a child a quarter of a second after Ctrl-C, and none after SIGTERM.
SECONDS_TO_STOP = 1.2
SERVICES = declare("Recorder", entry("Second", stop_seconds=SECONDS_TO_STOP))

AUTORELOAD: tuple[str, ...] = ()
NORELOAD = ("--noreload",)
ALONE, GROUP = "the one process", "the group"
INT, TERM = signal.SIGINT, signal.SIGTERM

EXIT_CODES = [
    # how it was started, signal, sent to, exit code (negative: killed by this signal)
    (AUTORELOAD, INT, GROUP, 0),  # Ctrl-C at a terminal
    (AUTORELOAD, INT, ALONE, 0),
    (AUTORELOAD, TERM, ALONE, 0),
    (AUTORELOAD, TERM, GROUP, 0),
    (NORELOAD, INT, GROUP, 0),
    (NORELOAD, INT, ALONE, 0),
    (NORELOAD, TERM, ALONE, -TERM),  # as Django has it: SIGTERM kills, and now after the stop
    (NORELOAD, TERM, GROUP, -TERM),
]


def send(process: ManagedProcess, number: int, receiver: str) -> None:
    if receiver == GROUP:
        process.send_to_group(number)
    else:
        process.send(number)


def assert_stopped_gracefully(process: ManagedProcess, times: int = 1) -> None:
    """Every service was started, stopped in reverse order, and closed, `times` times each."""
    seen = events(process)
    for service in ("Recorder", "Second"):
        for event in ("start", "execute", "executed", "stop", "stopped", "close"):
            assert seen.count(f"{service} {event}") == times, process.output
    stops = [event for event in seen if event.endswith((" stop", " stopped"))]
    assert stops == ["Second stop", "Second stopped", "Recorder stop", "Recorder stopped"] * times


@pytest.mark.parametrize(
    ("options", "number", "receiver", "code"),
    EXIT_CODES,
    ids=[f"{row[0] or 'autoreload'}-{row[1].name}-{row[2]}" for row in EXIT_CODES],
)
def test_a_signal_stops_every_service_gracefully(
    project: Project, options: tuple[str, ...], number: int, receiver: str, code: int
) -> None:
    process, _ = project.runserver(*options, env=SERVICES)
    wait_for_fact(process, "Second execute")

    send(process, number, receiver)

    assert process.wait_all_gone() == code
    assert_stopped_gracefully(process)
    # An import that the signal interrupts leaves its file to the collector, which says so.
    left_open = process.output.count("ResourceWarning: unclosed file")
    assert process.output.count("Traceback") == left_open, process.output


@pytest.mark.parametrize("options", [AUTORELOAD, NORELOAD], ids=["autoreload", "noreload"])
@pytest.mark.parametrize("number", [INT, TERM])
def test_a_second_signal_ends_at_once(
    project: Project, options: tuple[str, ...], number: int
) -> None:
    # A stop that would take ten minutes: that the process ends at all is the proof.
    env = declare("Recorder", "Stubborn", settings={"HOSTING": {"SHUTDOWN_TIMEOUT": 600}})
    process, _ = project.runserver(*options, env=env)
    wait_for_fact(process, "Stubborn execute")
    process.send_to_group(number)
    wait_for_fact(process, "Stubborn stopped")
    if options is AUTORELOAD:  # signals do not queue: the parent must have had the first
        process.wait_for_line("hosting: stopping")

    process.send_to_group(number)

    assert process.wait_all_gone() != 0
    assert "Recorder stop" not in events(process)


def test_a_child_whose_parent_was_killed_stops_gracefully(project: Project) -> None:
    process, _ = project.runserver(env=SERVICES)
    wait_for_fact(process, "Second execute")

    process.send(signal.SIGKILL)

    assert process.wait_all_gone() == -signal.SIGKILL
    assert_stopped_gracefully(process)


@pytest.mark.parametrize("options", [AUTORELOAD, NORELOAD], ids=["autoreload", "noreload"])
def test_a_stop_while_a_service_is_starting(project: Project, options: tuple[str, ...]) -> None:
    process, _ = project.runserver(*options, env=declare("Recorder", "Dawdling"))
    wait_for_fact(process, "Dawdling start")

    process.interrupt()

    assert process.wait_all_gone() == 0
    assert {"Recorder stopped", "Recorder close", "Dawdling close"} <= set(events(process))
    assert "Recorder execute" not in events(process)


@pytest.mark.parametrize("options", [AUTORELOAD, NORELOAD], ids=["autoreload", "noreload"])
def test_a_laggard_is_named_and_does_not_hold_up_the_end(
    project: Project, options: tuple[str, ...]
) -> None:
    env = declare("Recorder", "Stubborn", settings={"HOSTING": {"SHUTDOWN_TIMEOUT": 0.3}})
    process, _ = project.runserver(*options, env=env)
    wait_for_fact(process, "Stubborn execute")

    process.interrupt()

    assert process.wait_all_gone() == 0
    assert "Service 'Stubborn' has not stopped in its time" in process.output
    assert "Recorder stopped" in events(process)


def test_a_web_process_serves_on_when_a_service_has_failed(project: Project) -> None:
    env = declare("Recorder", "Crashing", settings={"HOSTING": {"MAX_RESTARTS": 0}})
    process, _ = project.runserver("--noreload", env=env)
    wait_for_fact(process, "Crashing execute")
    process.wait_for_line("RuntimeError: the disk is full")

    process.interrupt()

    assert process.wait_all_gone() == 0
    seen = events(process)
    assert seen.index("Crashing execute") < seen.index("Recorder stop")


class TestReload:
    """A file that changes stops the services gracefully, and a new process starts them again."""

    @pytest.fixture
    def watched(self, tmp_path: Path) -> Path:
        file = tmp_path / "watched_services.py"
        file.write_text(
            "from tests.projects.services import Recorder\n\n\nclass Second(Recorder):\n    pass\n"
        )
        return file

    @pytest.fixture
    def env(self, watched: Path) -> dict[str, str]:
        services = ("Recorder", entry("watched_services.Second", stop_seconds=SECONDS_TO_STOP))
        return {**declare(*services), "PYTHONPATH": str(watched.parent)}

    def change(self, process: ManagedProcess, watched: Path, *, times: int = 1) -> None:
        """Change the file, once the reloader has looked at it: then the change is seen."""
        process.wait_for_line("watched_services.py first seen", count=times)
        stat = watched.stat()
        os.utime(watched, (stat.st_atime, stat.st_mtime + 10))

    @pytest.mark.parametrize(
        ("command", "changes"), [(("runserver", "127.0.0.1:0"), 1), (("runworker", "--reload"), 2)]
    )
    def test_each_change_is_a_graceful_stop_and_a_start(
        self,
        project: Project,
        watched: Path,
        env: dict[str, str],
        command: tuple[str, ...],
        changes: int,
    ) -> None:
        process = project.start(*command, env=env)
        for times in range(1, changes + 1):
            wait_for_fact(process, "Second execute", count=times)
            self.change(process, watched, times=times)
        wait_for_fact(process, "Second execute", count=changes + 1)
        # The services start before the reloader does, and Ctrl-C between the two is Python's own.
        process.wait_for_line("watched_services.py first seen", count=changes + 1)

        process.interrupt()

        assert process.wait_all_gone() == 0
        assert_stopped_gracefully(process, times=changes + 1)
        pids = [fact.pid for fact in facts(process) if fact.event == "start"]
        assert len(set(pids)) == changes + 1
        assert process.pid not in pids
        assert "Traceback" not in process.output

    @pytest.mark.parametrize("command", [("runserver", "127.0.0.1:0"), ("runworker", "--reload")])
    @pytest.mark.parametrize(("number", "receiver"), [(INT, GROUP), (TERM, ALONE)])
    def test_a_signal_during_the_stop_for_a_reload_is_not_lost(
        self,
        project: Project,
        watched: Path,
        env: dict[str, str],
        command: tuple[str, ...],
        number: int,
        receiver: str,
    ) -> None:
        process = project.start(*command, env=env)
        wait_for_fact(process, "Second execute")
        self.change(process, watched)
        wait_for_fact(process, "Second stop")

        send(process, number, receiver)

        assert process.wait_all_gone() == 0
        assert_stopped_gracefully(process)

    def test_a_wrong_setting_can_be_repaired_while_it_runs(
        self, project: Project, tmp_path: Path
    ) -> None:
        """The parent, too, learns to end gracefully although the settings were wrong at first."""
        settings = tmp_path / "watched_settings.py"
        settings.write_text(
            "from tests.projects.settings import *\nHOSTING = {'AUTOSTART': 'maybe'}\n"
        )
        env = {
            **SERVICES,
            "DJANGO_SETTINGS_MODULE": "watched_settings",
            "PYTHONPATH": str(tmp_path),
            "HOSTING_AUTOSTART": None,
        }
        process = project.start("runserver", "127.0.0.1:0", env=env)
        process.wait_for_line(
            r"Not hosting in process \d+: HOSTING: AUTOSTART is 'maybe', allowed: "
        )
        process.wait_for_line("watched_settings.py first seen")
        modified = settings.stat().st_mtime
        settings.write_text("from tests.projects.settings import *\n")
        os.utime(settings, (modified, modified + 10))
        wait_for_fact(process, "Second execute")

        process.terminate()

        assert process.wait_all_gone() == 0
        assert_stopped_gracefully(process)
