"""`runworker --interactive` on a terminal."""

import re
import signal

import pytest

from hosting.process.console import HELP
from tests.processes import ManagedProcess, Project
from tests.projects import declare, entry, events

pytestmark = pytest.mark.process


def services(step_seconds: float) -> list[object]:
    return [
        "hosting.QueuedHostedService",
        entry("messages_app.services.MonitorLoop", step_seconds=step_seconds),
        "Recorder",
    ]


def start(
    project: Project, *options: str, declared: list[object], **hosting: object
) -> tuple[ManagedProcess, list[object]]:
    """The worker, once it listens to the keyboard, and how the terminal was before."""
    # The sample's messages are logged at INFO, which goes nowhere by default.
    env = declare(*declared, settings={"HOSTING": hosting, "LOGGING": LOGGING})
    process = project.start("runworker", "--interactive", *options, env=env, terminal=True)
    before = process.terminal_settings()
    process.wait_for_line(f"^{re.escape(HELP)}$")
    return process, before


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
WORK_ITEM = r"^Queued Background Task \S+ "


@pytest.mark.parametrize("options", [(), ("--reload",)], ids=["", "reload"])
def test_w_adds_a_work_item_and_q_quits(project: Project, options: tuple[str, ...]) -> None:
    process, before = start(project, *options, declared=services(0))
    assert process.terminal_settings() != before

    process.type("xw")
    process.wait_for_line(f"{WORK_ITEM}is complete")
    process.type("q")

    assert process.wait_all_gone() == 0
    assert process.terminal_settings() == before
    said = [line.split(" ", 4)[4] for line in process.lines if re.search(WORK_ITEM, line)]
    assert said == [
        "is starting.",
        "is running. 1/3",
        "is running. 2/3",
        "is running. 3/3",
        "is complete.",
    ]
    assert "Recorder stopped" in events(process)


def test_q_cancels_a_work_item_that_takes_too_long(project: Project) -> None:
    process, before = start(project, declared=services(600), SHUTDOWN_TIMEOUT=3)

    process.type("w")
    process.wait_for_line(f"{WORK_ITEM}is starting")
    process.type("q")

    assert process.wait_all_gone() == 0
    process.wait_for_line(f"{WORK_ITEM}was cancelled")
    assert process.terminal_settings() == before


def test_a_first_signal_puts_the_terminal_back(project: Project) -> None:
    process, before = start(project, declared=["Recorder"])

    process.terminate()

    assert process.wait_all_gone() == 0
    assert process.terminal_settings() == before


def test_a_second_signal_puts_the_terminal_back(project: Project) -> None:
    process, before = start(project, declared=["Recorder"])
    # Both arrive before the console is stopped.
    process.send(signal.SIGSTOP)
    process.terminate()
    process.interrupt()
    process.send(signal.SIGCONT)

    assert process.wait_all_gone() in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert process.terminal_settings() == before


def test_without_a_terminal_it_is_an_error(project: Project) -> None:
    process = project.run("runworker", "--interactive", env=declare("Recorder"), code=1)

    assert process.lines == [
        "CommandError: --interactive needs a terminal, and standard input is none."
    ]
