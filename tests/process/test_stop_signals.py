"""What SIGTERM and SIGINT mean to a process that is a host."""

import multiprocessing
import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest

from hosting.process.stop_signals import StopSignals
from tests.processes import PATIENCE, ROOT, Project
from tests.projects import declare, events, wait_for_fact

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize("number", [TERM, INT])
def test_the_first_signal_asks_to_stop_on_a_thread_of_its_own(number: signal.Signals) -> None:
    asked, threads = threading.Event(), []

    def stop() -> None:
        threads.append(threading.current_thread())
        asked.set()

    with StopSignals(stop):
        signal.raise_signal(number)
        assert asked.wait(PATIENCE)

    assert threads[0] is not threading.main_thread()


def test_other_signals_do_not() -> None:
    asked, seen = threading.Event(), threading.Event()
    previous = signal.signal(signal.SIGUSR1, lambda *_: seen.set())
    try:
        with StopSignals(asked.set):
            signal.raise_signal(signal.SIGUSR1)
            assert seen.wait(PATIENCE)
            signal.raise_signal(TERM)  # arrives after the other one, through the same pipe
            assert asked.wait(PATIENCE)
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_afterwards_the_signals_are_whose_they_were() -> None:
    before = {number: signal.getsignal(number) for number in (TERM, INT)}

    with StopSignals(lambda: None):
        assert {number: signal.getsignal(number) for number in before} != before

    assert {number: signal.getsignal(number) for number in before} == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_stop_that_takes_long_does_not_hold_up_the_second_signal() -> None:
    script = """
        import os, signal, sys, threading
        from hosting.process.stop_signals import StopSignals, before_abrupt_end

        stopping = threading.Event()
        before_abrupt_end.append(lambda: os.write(1, b"put back"))

        def stop():
            stopping.set()
            threading.Event().wait()

        with StopSignals(stop):
            signal.raise_signal(signal.SIGTERM)
            stopping.wait()
            signal.raise_signal(signal.SIGINT)
            threading.Event().wait()
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 128 + INT
    assert done.stdout == b"put back"
    assert done.stderr == b"hosting: second signal, ending at once\n"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_signal_to_a_forked_process_is_none_to_its_parent() -> None:
    asked = threading.Event()
    fork = multiprocessing.get_context("fork")
    with StopSignals(asked.set):
        here, there = fork.Pipe()
        child = fork.Process(target=_say_and_wait, args=(there,), daemon=True)
        child.start()
        assert here.poll(PATIENCE)
        child.terminate()
        child.join(PATIENCE)
        code = child.exitcode
        stopped = asked.is_set()

    assert code == -TERM
    assert not stopped


def _say_and_wait(connection: Any) -> None:
    connection.send("running")
    signal.pause()


@pytest.mark.process
@pytest.mark.parametrize("reload", ["--no-reload", "--reload"])
def test_a_signal_to_a_suspended_worker_counts_when_it_goes_on(
    project: Project, reload: str
) -> None:
    """The shell's `kill` of a job suspended with Ctrl-Z sends SIGTERM and then SIGCONT."""
    process = project.start("runworker", reload, env=declare("Recorder", "Second"))
    wait_for_fact(process, "Second execute")
    process.send_to_group(signal.SIGSTOP)
    process.send_to_group(TERM)
    process.send_to_group(signal.SIGCONT)

    assert process.wait_all_gone() == 0
    assert events(process)[-1] == "Recorder close"
