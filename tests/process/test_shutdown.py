"""How a web process gets to stop its host, seen from inside."""

import os
from pathlib import Path

import pytest

from tests.process.scripts import run


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


def test_an_executor_that_a_service_makes_later_does_not_hold_up_the_exit(tmp_path: Path) -> None:
    """The interpreter waits for what it was given, which ends once the service is told to stop."""
    os.mkfifo(tmp_path / "told")
    done = run(f"""
        import os, threading
        from hosting.process import shutdown

        told = {str(tmp_path / "told")!r}

        def execute():
            from concurrent.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(1) as pool:
                item = pool.submit(os.open, told, os.O_RDONLY)  # until somebody opens the other end
                begun.set()
                item.result()
            print("executed", flush=True)

        def stop():
            os.close(os.open(told, os.O_WRONLY))
            service.join()

        begun = threading.Event()
        service = threading.Thread(target=execute, daemon=True)
        shutdown.stop_before_exit(stop, impatient=True)
        service.start()
        begun.wait()
    """)

    assert (done.returncode, done.stdout, done.stderr) == (0, "executed\n", "")
