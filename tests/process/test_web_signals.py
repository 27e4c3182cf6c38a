"""Stop signals in a web process, beside the server's own handlers."""

import signal
import subprocess
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hosting.process import web_signals
from tests.process.scripts import run
from tests.processes import PATIENCE


@pytest.fixture(autouse=True)
def _sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


#: A script that begins so has its `stop` called when a signal comes.
BEGIN = """
import os, signal, threading
from hosting.process.web_signals import StopWithSignals

stopped = threading.Event()

def say(text):
    os.write(1, text.encode() + b"\\n")  # whole lines, from any thread

def stop():
    say("stopped")
    stopped.set()

def wait_for_end():
    while True:
        threading.Event().wait(0.05)
"""


def begun(script: str) -> subprocess.CompletedProcess[str]:
    return run(BEGIN + textwrap.dedent(script))


def test_a_handler_that_is_there_is_called_as_well() -> None:
    done = begun("""
        signal.signal(signal.SIGTERM, lambda number, frame: say(f"theirs {number}"))
        StopWithSignals(stop, stopped.is_set, second_kills=True).join_handlers()
        signal.raise_signal(signal.SIGTERM)
        stopped.wait()
    """)

    assert done.returncode == 0
    assert sorted(done.stdout.split("\n")) == ["", "stopped", f"theirs {signal.SIGTERM:d}"]


def test_what_a_handler_that_is_there_raises_is_raised() -> None:
    done = begun("""
        def leave(number, frame):
            raise SystemExit(7)

        signal.signal(signal.SIGINT, leave)
        StopWithSignals(stop, stopped.is_set, second_kills=True).join_handlers()
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            stopped.wait()
    """)

    assert (done.returncode, done.stdout) == (7, "stopped\n")


def test_handlers_are_joined_once_however_often_it_is_asked_for() -> None:
    done = begun("""
        signal.signal(signal.SIGTERM, lambda number, frame: say("theirs"))
        signals = StopWithSignals(lambda: None, stopped.is_set, second_kills=True)
        signals.join_handlers()
        signals.join_handlers()
        signal.raise_signal(signal.SIGTERM)
    """)

    assert (done.returncode, done.stdout) == (0, "theirs\n")


@pytest.mark.parametrize(
    ("number", "handler"),
    [
        (signal.SIGTERM, signal.SIG_IGN),
        (signal.SIGINT, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
    ],
)
def test_other_handlers_are_left_alone(number: int, handler: Any) -> None:
    before = signal.signal(number, handler)
    try:
        web_signals.StopWithSignals(lambda: None, lambda: False, second_kills=True).join_handlers()

        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


def test_nor_is_anything_changed_from_another_thread() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals = web_signals.StopWithSignals(lambda: None, lambda: False, second_kills=True)
    thread = threading.Thread(target=signals.join_handlers)

    thread.start()
    thread.join(PATIENCE)

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_kills_after_the_stop() -> None:
    done = begun("""
        StopWithSignals(stop, stopped.is_set, second_kills=True).join_handlers()
        signal.raise_signal(signal.SIGTERM)
        wait_for_end()
    """)

    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "stopped\n")


@pytest.mark.parametrize(("second_kills", "said"), [(True, ""), (False, "stopped\n")])
def test_a_second_sigterm_kills_where_it_is_a_persons(second_kills: bool, said: str) -> None:
    done = begun(f"""
        second_sent = threading.Event()

        def stop_slowly():
            second_sent.wait()
            stop()

        StopWithSignals(stop_slowly, stopped.is_set, second_kills={second_kills}).join_handlers()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        second_sent.set()
        wait_for_end()
    """)

    assert (done.returncode, done.stdout) == (-signal.SIGTERM, said)


@pytest.mark.parametrize("second_kills", [True, False])
def test_sigterm_kills_even_if_the_stop_fails(second_kills: bool) -> None:
    done = begun(f"""
        StopWithSignals(
            lambda: 1 / 0, stopped.is_set, second_kills={second_kills}
        ).join_handlers()
        signal.raise_signal(signal.SIGTERM)
        wait_for_end()
    """)

    assert done.returncode == -signal.SIGTERM


def test_sigterm_kills_at_once_if_everything_has_stopped() -> None:
    done = begun("""
        StopWithSignals(stop, lambda: True, second_kills=True).join_handlers()
        signal.raise_signal(signal.SIGTERM)
        print("went on")
    """)

    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")


def test_a_signal_to_a_forked_process_does_not_stop_its_parents_host() -> None:
    done = begun("""
        signals = StopWithSignals(stop, stopped.is_set, second_kills=True)
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(5))
        signals.join_handlers()
        for number in (signal.SIGTERM, signal.SIGINT):
            pid = os.fork()
            if pid == 0:
                os.kill(os.getpid(), number)
                os._exit(1)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        print("stopped here:", stopped.wait(0.2))
    """)

    assert done.stdout.split("\n")[:3] == [str(-signal.SIGTERM), "5", "stopped here: False"]


def test_sigterm_ends_a_process_whose_main_thread_runs_no_handler() -> None:
    # As that of a server in C: the lock goes on waiting after a signal, and never gets to Python.
    done = begun("""
        import ctypes

        python = ctypes.CDLL(ctypes.pythonapi._name)
        python.PyThread_allocate_lock.restype = ctypes.c_void_p
        lock = ctypes.c_void_p(python.PyThread_allocate_lock())
        StopWithSignals(stop, stopped.is_set, second_kills=True).join_handlers()
        python.PyThread_acquire_lock(lock, 1)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        python.PyThread_acquire_lock(lock, 1)
    """)

    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "stopped\n")


def test_a_server_that_handles_sigterm_from_some_time_on_is_not_told_of_it_twice() -> None:
    done = begun("""
        StopWithSignals(stop, stopped.is_set, second_kills=True).join_handlers()
        signal.signal(signal.SIGTERM, lambda number, frame: say("theirs"))
        signal.raise_signal(signal.SIGTERM)
        stopped.wait()
    """)

    assert (done.returncode, sorted(done.stdout.split())) == (0, ["stopped", "theirs"])


@pytest.mark.parametrize(("hears_once", "heard"), [(True, ["15"]), (False, ["15", "2"])])
def test_signals_of_one_moment_may_be_one_to_the_server(hears_once: bool, heard: list[str]) -> None:
    done = begun(f"""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: say(f"{{number}}"))
        StopWithSignals(
            lambda: None, stopped.is_set, second_kills=True, hears_once={hears_once}
        ).join_handlers()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    """)

    assert (done.returncode, done.stdout.split()) == (0, heard)


def test_a_host_that_goes_first_has_stopped_when_the_server_hears_of_the_signal() -> None:
    done = begun("""
        ended = threading.Event()

        def theirs(number, frame):
            say("theirs")
            ended.set()

        signal.signal(signal.SIGTERM, theirs)
        StopWithSignals(
            stop, stopped.is_set, second_kills=True, goes_first=lambda: True, hears_once=True
        ).join_handlers()
        signal.raise_signal(signal.SIGTERM)
        ended.wait()
    """)

    assert (done.returncode, done.stdout.split()) == (0, ["stopped", "theirs"])
