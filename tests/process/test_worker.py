"""`runworker` as a process: how it ends, by what code, and what it leaves behind."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from hosting.deadlines import GRACE
from tests.processes import ManagedProcess, Project
from tests.projects import declare, entry, events, facts, wait_for_fact

INT, TERM = signal.SIGINT, signal.SIGTERM

pytestmark = pytest.mark.process

#: Starts a worker with these services.
StartWorker = Callable[..., ManagedProcess]

in_one_process = pytest.mark.parametrize("reload", ["--no-reload"], indirect=True)


@pytest.fixture(params=["--no-reload", "--reload"])
def reload(request: pytest.FixtureRequest) -> str:
    option: str = request.param
    return option


@pytest.fixture
def worker(project: Project, reload: str) -> StartWorker:
    def start(*services: object, options: tuple[str, ...] = (), **hosting: Any) -> ManagedProcess:
        env = declare(*services, settings={"HOSTING": hosting})
        return project.start("runworker", reload, *options, env={**env, "DEBUG": "true"})

    return start


class TestAStop:
    @pytest.mark.parametrize("number", [INT, TERM])
    @pytest.mark.parametrize("receiver", ["send", "send_to_group"])
    def test_the_first_signal_stops_in_reverse_order(
        self, worker: StartWorker, receiver: str, number: int
    ) -> None:
        process = worker("Recorder", "Second")
        wait_for_fact(process, "Second execute")

        getattr(process, receiver)(number)

        assert process.wait_all_gone() == 0
        seen = events(process)
        assert [event for event in seen if event.endswith((" start", " stop", " stopped"))] == [
            "Recorder start",
            "Second start",
            "Second stop",
            "Second stopped",
            "Recorder stop",
            "Recorder stopped",
        ]
        assert seen[-2:] == ["Second close", "Recorder close"]
        assert "Traceback" not in process.output

    @pytest.mark.parametrize("number", [INT, TERM])
    @pytest.mark.parametrize("receiver", ["send", "send_to_group"])
    def test_the_second_signal_ends_at_once(
        self, worker: StartWorker, receiver: str, number: int
    ) -> None:
        # A stop that would take ten minutes: that the process ends at all is the proof.
        process = worker("Recorder", "Stubborn", SHUTDOWN_TIMEOUT=600)
        wait_for_fact(process, "Stubborn execute")
        getattr(process, receiver)(number)
        wait_for_fact(process, "Stubborn stopped")

        getattr(process, receiver)(number)

        assert process.wait_all_gone() == 128 + number
        assert "Recorder stop" not in events(process)

    def test_a_service_may_ask_for_it(self, worker: StartWorker) -> None:
        process = worker("Recorder", "Leaving")

        assert process.wait_all_gone() == 0
        assert "Recorder stopped" in events(process)

    def test_it_may_come_while_a_service_is_starting(self, worker: StartWorker) -> None:
        process = worker("Recorder", "Dawdling", "Second")
        wait_for_fact(process, "Dawdling start")

        process.terminate()

        assert process.wait_all_gone() == 0
        seen = events(process)
        assert seen[-3:] == ["Second close", "Dawdling close", "Recorder close"]
        assert "Recorder stopped" in seen
        assert "Second start" not in seen
        assert "Recorder execute" not in seen


class TestAFailure:
    def test_a_laggard_is_named_with_its_stack_and_the_others_still_stop(
        self, worker: StartWorker
    ) -> None:
        process = worker("Recorder", "Stubborn", SHUTDOWN_TIMEOUT=0.5)
        wait_for_fact(process, "Stubborn execute")
        began = time.monotonic()
        process.terminate()

        assert process.wait_all_gone() == 1
        # What is more than the budget and a few GRACE is for the interpreters to end.
        assert time.monotonic() - began < 0.5 + 4 * GRACE + 5
        assert "Service 'Stubborn' has not stopped in its time" in process.output
        assert "in run\n    threading.Event().wait()" in process.output
        assert "Recorder stopped" in events(process)

    def test_a_service_that_crashes_too_often_ends_the_worker(self, worker: StartWorker) -> None:
        process = worker("Recorder", "Crashing", MAX_RESTARTS=1)

        assert process.wait_all_gone() == 1
        assert events(process).count("Crashing execute") == 2
        assert "RuntimeError: the disk is full" in process.output
        assert "The worker has stopped because service 'Crashing' failed" in process.output
        assert "Recorder stopped" in events(process)

    def test_a_start_that_fails_unwinds(self, worker: StartWorker) -> None:
        process = worker("Recorder", "Refusing", "Second")

        assert process.wait_all_gone() == 1
        assert events(process) == [
            "Recorder start",
            "Refusing start",
            "Recorder stop",
            "Recorder stopped",
            "Second close",
            "Refusing close",
            "Recorder close",
        ]
        [line] = [line for line in process.lines if "The worker has failed" in line]
        assert line.endswith(
            "Service 'Refusing' could not be started: RuntimeError('the port is taken')"
        )

    def test_a_service_that_cannot_stop_shows_in_the_exit_code(self, worker: StartWorker) -> None:
        process = worker("Recorder", "Unstoppable")
        wait_for_fact(process, "Unstoppable execute")
        process.terminate()

        assert process.wait_all_gone() == 1
        assert "Service 'Unstoppable' did not stop cleanly" in process.output
        assert "Recorder stopped" in events(process)

    @in_one_process
    def test_a_service_that_cannot_stop_shows_also_if_the_host_was_still_starting(
        self, worker: StartWorker
    ) -> None:
        process = worker("Unstoppable", "Dawdling")
        wait_for_fact(process, "Dawdling start")
        process.terminate()

        assert process.wait_all_gone() == 1


JOBS = """
    SELECT state, claimed_by FROM hosting_job
    UNION ALL SELECT status, return_value FROM hosting_jobresult
"""


class TestAJobInHand:
    def start(self, worker: StartWorker, task: str, **hosting: Any) -> ManagedProcess:
        process = worker("hosting.TaskWorker", entry("Enqueuer", task=task), **hosting)
        process.wait_for_line("^job begins")
        return process

    def test_is_finished(self, worker: StartWorker, project: Project) -> None:
        process = self.start(worker, "takes_a_second", SHUTDOWN_TIMEOUT=20)
        process.terminate()

        assert process.wait_all_gone() == 0
        assert process.lines.count("job ends") == 1
        assert project.rows(JOBS) == [("SUCCESSFUL", "null")]

    @pytest.mark.parametrize("task", ["ends_when_told", "never_ends"])
    def test_or_handed_back_within_the_budget(
        self, worker: StartWorker, project: Project, task: str
    ) -> None:
        # A fifth of it is for the job's row, which takes a loaded machine a while.
        process = self.start(worker, task, SHUTDOWN_TIMEOUT=4)
        began = time.monotonic()
        process.terminate()

        assert process.wait_all_gone() == 0
        assert time.monotonic() - began < 4 + 4 * GRACE + 5
        assert project.rows(JOBS) == [("ready", "")]

    @in_one_process
    def test_that_was_handed_back_runs_in_the_next_worker(
        self, worker: StartWorker, project: Project
    ) -> None:
        process = self.start(worker, "ends_when_told", SHUTDOWN_TIMEOUT=4)
        process.terminate()
        assert process.wait_all_gone() == 0

        process = worker("hosting.TaskWorker", SHUTDOWN_TIMEOUT=4)
        process.wait_for_line("^job begins")
        process.terminate()

        assert process.wait_all_gone() == 0


class TestTheReloader:
    """Whether there is one: by default if DEBUG, and not on a terminal."""

    @pytest.mark.parametrize(
        ("debug", "options", "reloads"),
        [
            ("true", (), True),
            ("false", (), False),
            ("false", ("--reload",), True),
            ("true", ("--no-reload",), False),
        ],
    )
    def test_it_is_there_by_default_if_debug(
        self, project: Project, debug: str, options: tuple[str, ...], reloads: bool
    ) -> None:
        process = project.start("runworker", *options, env={**declare("Leaving"), "DEBUG": debug})

        assert process.wait_all_gone() == 0
        [pid] = {fact.pid for fact in facts(process)}
        assert (pid != process.pid) is reloads
        assert ("Watching for file changes" in process.output) is reloads

    def test_a_worker_whose_parent_was_killed_stops_gracefully(self, project: Project) -> None:
        process = project.start("runworker", "--reload", env=declare("Recorder", "Second"))
        wait_for_fact(process, "Second execute")

        process.send(signal.SIGKILL)

        assert process.wait_all_gone() == -signal.SIGKILL
        assert events(process)[-2:] == ["Second close", "Recorder close"]


def test_a_wrong_setting_starts_nothing(worker: StartWorker) -> None:
    process = worker("Recorder", {"SERVICE": "Second", "RESTRAT": "never"}, SHUTDOWN_TIMEOUT=-1)

    assert process.wait_all_gone() == 1
    assert events(process) == []
    for words in ("unknown key 'RESTRAT'", "SHUTDOWN_TIMEOUT is -1, allowed: "):
        [line] = [line for line in process.lines if words in line]
        assert line.startswith("?: (hosting.E")


@pytest.mark.parametrize("reload", ["--no-reload"], indirect=True)
def test_what_it_logs_can_be_read_where_the_project_configures_no_logging(
    worker: StartWorker,
) -> None:
    process = worker("Leaving")

    assert process.wait_all_gone() == 0
    process.wait_for_line(r"^\d{4}-\S+ \S+ INFO hosting\.host: Hosting .*Leaving")
    process.wait_for_line(
        r"^\d{4}-\S+ \S+ INFO hosting\.host: Stopped hosting in worker process \d+$"
    )
