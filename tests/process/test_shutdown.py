"""How a web process gets to stop its host, seen from inside."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

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


def test_a_handler_of_sigterm_that_is_there_is_left_alone() -> None:
    def theirs(*_: object) -> None:
        """A server's own handler."""

    signal.signal(signal.SIGTERM, theirs)

    shutdown.stop_before_sigterm_kills(lambda: None)

    assert signal.getsignal(signal.SIGTERM) is theirs


def test_nor_is_one_set_from_another_thread() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    thread = threading.Thread(target=shutdown.stop_before_sigterm_kills, args=(lambda: None,))

    thread.start()
    thread.join(PATIENCE)

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sigterm_kills_after_the_stop() -> None:
    done = run("""
        import signal, threading
        from hosting.process import shutdown
        shutdown.stop_before_sigterm_kills(lambda: print("stopped", flush=True))
        signal.raise_signal(signal.SIGTERM)
        while True:
            threading.Event().wait(0.05)
    """)

    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "stopped\n")


def test_sigterm_kills_even_if_the_stop_fails() -> None:
    done = run("""
        import signal, threading
        from hosting.process import shutdown
        shutdown.stop_before_sigterm_kills(lambda: 1 / 0)
        signal.raise_signal(signal.SIGTERM)
        while True:
            threading.Event().wait(0.05)
    """)

    assert done.returncode == -signal.SIGTERM


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


@pytest.mark.parametrize(("impatient", "code", "said"), [(True, 1, ""), (False, 0, "stopped\n")])
def test_a_signal_during_the_stop_at_exit_ends_who_is_impatient(
    impatient: bool, code: int, said: str
) -> None:
    done = run(f"""
        import signal
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
