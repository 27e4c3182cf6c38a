"""How a web process gets to stop its host, seen from inside."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hosting.process import shutdown
from tests.processes import PATIENCE, ROOT


@pytest.fixture(autouse=True)
def _sigterm() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


#: A script that begins so has its `stop` called when a signal comes.
BEGIN = """
import os, signal, threading
from hosting.process.shutdown import StopWithSignals

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
        shutdown.StopWithSignals(lambda: None, lambda: False, second_kills=True).join_handlers()

        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


def test_nor_is_anything_changed_from_another_thread() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signals = shutdown.StopWithSignals(lambda: None, lambda: False, second_kills=True)
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


def test_the_stop_at_exit_can_still_start_threads() -> None:
    done = run("""
        import concurrent.futures, threading
        from hosting.process import shutdown

        def stop():
            with concurrent.futures.ThreadPoolExecutor() as pool:
                print(pool.submit(lambda: "stopped").result())

        shutdown.stop_before_exit(stop, impatient=True)
    """)

    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")


@pytest.mark.parametrize(
    ("impatient", "handler", "code", "said"),
    [
        (True, "signal.default_int_handler", 1, ""),
        (False, "signal.default_int_handler", 0, "stopped\n"),
        (True, "lambda number, frame: exit()", 0, "stopped\n"),  # as gunicorn's
    ],
)
def test_ctrl_c_during_the_stop_at_exit_ends_who_is_impatient(
    impatient: bool, handler: str, code: int, said: str
) -> None:
    done = run(f"""
        import signal
        signal.signal(signal.SIGINT, {handler})
        from hosting.process import shutdown
        calls = []

        def stop():
            calls.append(1)
            if len(calls) == 1:
                signal.raise_signal(signal.SIGINT)
            print("stopped", flush=True)

        shutdown.stop_before_exit(stop, impatient={impatient})
    """)

    assert (done.returncode, done.stdout) == (code, said)
