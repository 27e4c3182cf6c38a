"""How a web process gets to stop its host, seen from inside."""

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


def test_an_executor_that_a_service_makes_later_does_not_hold_up_the_exit() -> None:
    done = run("""
        import threading
        from hosting.process import shutdown

        ended = threading.Event()

        def work():
            from concurrent.futures import ProcessPoolExecutor
            with ProcessPoolExecutor(1) as pool:
                print(pool.submit(int, "7").result(), flush=True)
                begun.set()
                ended.wait()

        begun = threading.Event()
        threading.Thread(target=work, daemon=True).start()
        begun.wait()
        shutdown.stop_before_exit(ended.set, impatient=True)
    """)

    assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
