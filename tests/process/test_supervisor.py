"""`runworker --processes`: a supervisor and its workers as processes."""

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from hosting.process import exits
from tests.faults.fleet import Fleet
from tests.faults.scale import DEAD_SOON
from tests.processes import ManagedProcess, Project
from tests.projects import declare, entry, events, facts, wait_for_fact

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP

pytestmark = pytest.mark.process

#: Starts two workers with these services under a supervisor.
Supervise = Callable[..., ManagedProcess]


@pytest.fixture
def supervise(project: Project) -> Iterator[Supervise]:
    started: list[ManagedProcess] = []

    def start(*services: object, program: str = "manage.py", **hosting: object) -> ManagedProcess:
        env = {**declare(*services, settings={"HOSTING": hosting}), "DEBUG": "true"}
        command = ("runworker", "--processes", "2")
        started.append(project.start(*command, env=env, program=tuple(program.split())))
        return started[-1]

    yield start
    for process in started:
        try:
            process.wait_all_gone(0)
        except AssertionError:  # what a test that failed has left; it is in sessions of its own
            for pid in {fact.pid for fact in facts(process)}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def pid_of(process: ManagedProcess, count: int) -> int:
    """The process id of the `count`-th worker that came up."""
    return int(process.wait_for_line(r"Worker \d is up: process (\d+)", count=count)[1])


def test_each_worker_answers_at_a_port_of_its_own(project: Project) -> None:
    first = two_free_ports()
    env = {**declare("Recorder"), "DEBUG": "true"}
    command = ("runworker", "--processes", "2", "--health", f"127.0.0.1:{first}")
    process = project.start(*command, env=env)
    pids = {pid_of(process, 1), pid_of(process, 2)}

    assert {pid_at(first), pid_at(first + 1)} == pids

    gone = pid_at(first)
    os.kill(gone, signal.SIGKILL)
    assert pid_of(process, 3) == pid_at(first) != gone
    process.interrupt()
    assert process.wait_all_gone() == 0


def two_free_ports() -> int:
    """The first of two ports in a row that nobody listens at."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with suppress(OSError):
                other.bind(("127.0.0.1", port + 1))
                return port


def pid_at(port: int) -> int:
    """The process that answers at this port."""
    with urlopen(f"http://127.0.0.1:{port}/health/services", timeout=10) as answer:
        return int(json.load(answer)["pid"])


def test_one_ctrl_c_stops_all_gracefully(supervise: Supervise) -> None:
    process = supervise("Recorder")
    pids = {pid_of(process, 1), pid_of(process, 2)}
    named = process.wait_for_line(r"Supervising 2 worker processes: (\d+), (\d+)")

    process.interrupt()

    assert process.wait_all_gone() == 0
    assert pids == {int(named[1]), int(named[2])} == {fact.pid for fact in facts(process)}
    assert [event for event in events(process) if event.endswith("stopped")] == [
        "Recorder stopped",
        "Recorder stopped",
    ]
    assert "a signal told it to stop" not in process.output  # the terminal's was the supervisor's
    assert "Traceback" not in process.output
    assert "Watching for file changes" not in process.output  # though DEBUG is on


def test_a_second_signal_kills_all(supervise: Supervise) -> None:
    # A stop that would take ten minutes: that the processes end at all is the proof.
    process = supervise("Recorder", "Stubborn", SHUTDOWN_TIMEOUT=600)
    wait_for_fact(process, "Stubborn execute", count=2)
    process.terminate()
    wait_for_fact(process, "Stubborn stopped", count=2)

    process.interrupt()

    assert process.wait_all_gone() == 128 + INT
    assert "Recorder stop" not in events(process)


def test_sighup_replaces_one_after_the_other_and_no_orphan_is_left_by_a_kill(
    supervise: Supervise,
) -> None:
    process = supervise("Recorder")
    first, second = pid_of(process, 1), pid_of(process, 2)
    process.send(HUP)
    third, fourth = pid_of(process, 3), pid_of(process, 4)

    moments = [(fact.event, fact.pid) for fact in facts(process)]
    one, other = sorted((first, second), key=lambda pid: moments.index(("stop", pid)))
    assert moments.index(("close", one)) < moments.index(("start", third))
    assert moments.index(("start", third)) < moments.index(("stop", other))
    assert moments.index(("close", other)) < moments.index(("start", fourth))

    # One that is told to end by somebody else is replaced as well.
    os.kill(third, TERM)
    fifth = pid_of(process, 5)
    assert f"(process {third}) asks to be replaced" in process.output

    process.send(signal.SIGKILL)

    assert process.wait_all_gone() == -signal.SIGKILL
    closed = [fact.pid for fact in facts(process) if fact.event == "close"]
    assert sorted(closed) == sorted([first, second, third, fourth, fifth])


def test_a_rolling_restart_to_what_does_not_start_leaves_the_others_at_work(
    supervise: Supervise, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    process = supervise(entry("Fragile", path=str(broken)), MAX_RESTARTS=0)
    pids = {pid_of(process, 1), pid_of(process, 2)}
    broken.touch()
    process.send(HUP)
    process.wait_for_line(r"ERROR .*broken off, .* not come up: Worker 1 \(.*\) exited with 1")
    process.wait_for_line(r"Worker 1 .* exited with 1; another is started in")
    assert len({fact.pid for fact in facts(process) if fact.event == "stop"} & pids) == 1

    broken.unlink()
    third = pid_of(process, 3)
    process.send(HUP)
    fourth, fifth = pid_of(process, 4), pid_of(process, 5)
    process.terminate()

    assert process.wait_all_gone() == 0
    assert len({third, fourth, fifth} | pids) == 5


def test_a_worker_that_dies_again_and_again_is_given_up(supervise: Supervise) -> None:
    process = supervise("Recorder", "DyingInSlot1", MAX_RESTARTS=1)

    assert process.wait_all_gone() == 1
    died = r"Worker 1 \(process (\d+)\) exited with 9"
    once = process.wait_for_line(rf"WARNING .*{died}; another is started in \d\.\d\d s")
    twice = process.wait_for_line(rf"CRITICAL .*Giving up, .*{died}, failure 2 within 60 s")
    started = {fact.pid for fact in facts(process) if fact.event == "start"}
    closed = {fact.pid for fact in facts(process) if fact.event == "close"}
    assert closed == started - {int(once[1]), int(twice[1])}  # the other one ends gracefully


def test_workers_that_end_by_themselves_are_the_end(supervise: Supervise) -> None:
    process = supervise("Recorder", "Leaving", program="-W error -m django")

    assert process.wait_all_gone() == 0
    assert events(process).count("Leaving start") == 2
    assert events(process).count("Recorder close") == 2


def test_workers_share_jobs_and_none_is_lost_with_one_that_is_killed(
    project: Project, tmp_path: Path
) -> None:
    fleet, gate = Fleet(project, concurrency=1, DEAD_AFTER=DEAD_SOON), tmp_path / "gate"
    fleet.enqueue("wait_at_gate", 2, str(gate))
    [process] = fleet.start(1, "--processes", "2")
    process.wait_for_line("^at gate . attempt 1", count=2)
    holders = dict(held_jobs(project))
    victim = pid_of(process, 1)
    assert len(holders) == 2

    os.kill(victim, signal.SIGKILL)
    (tmp_path / "gate.1").touch()
    process.wait_for_line(rf"Worker \d \(process {victim}\) was killed by SIGKILL; another is")
    process.wait_for_line(f"^at gate {holders[victim]} attempt 2")
    (tmp_path / "gate.2").touch()
    fleet.wait_for_results()
    pid_of(process, 3)
    fleet.wait_until(lambda: not held_jobs(project), "nobody works")
    process.terminate()

    assert process.wait_all_gone() == 0
    account = fleet.account()
    assert (account.successful, account.lost, account.left) == (2, 0, 0)


def held_jobs(project: Project) -> list[tuple[int, int]]:
    """Which process holds which job, by its number."""
    rows = project.rows("SELECT claimed_by, args FROM hosting_job WHERE state = 'running'")
    return [(int(name.split(":")[1]), int(args.strip("[").split(",")[0])) for name, args in rows]


def test_workers_are_recycled_after_so_many_jobs_and_each_job_runs_once(project: Project) -> None:
    # Had its jobs only the time of a stop, a worker that is recycled would have to hand them back.
    # That time is seconds: a busy disk takes one of them to close a database.
    fleet = Fleet(project, concurrency=2, hosting={"SHUTDOWN_TIMEOUT": 3, "MAX_RESTARTS": 0})
    fleet.enqueue("linger_to_the_end", 8, 3.2)
    [process] = fleet.start(1, "--processes", "2", "--max-jobs", "3")
    process.wait_for_line(r"\d jobs were executed: claims no more jobs, ends those", count=2)
    process.wait_for_line(r"asks to be replaced", count=2)
    fleet.wait_for_results()
    process.terminate()

    assert process.wait_all_gone() == 0
    account = fleet.account()
    assert (account.successful, account.lost, account.duplicates) == (8, 0, 0)
    assert "handed back" not in process.output


def test_a_worker_alone_that_has_grown_ends_by_the_code_that_asks_for_another(
    project: Project,
) -> None:
    process = project.start(
        "runworker",
        "--no-reload",
        "--max-memory=200",
        env=declare("hosting.TaskWorker", entry("Enqueuer", task="takes_memory")),
    )

    assert process.wait_all_gone() == exits.RECYCLE == 75
    process.wait_for_line(r"The worker has stopped to be replaced: this process takes \d{3} MB")
    assert project.rows("SELECT status FROM hosting_jobresult") == [("SUCCESSFUL",)]
