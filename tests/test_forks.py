"""What a forked process begins afresh."""

import os
import threading

import pytest

from hosting import BackgroundTaskQueue, forks
from hosting.ids import uuid7
from hosting.queues.stores.turns import turn
from tests.processes import PATIENCE


def in_forked_process(check: object) -> int:
    """The exit code of a forked process that makes the call: 0 if it returned something true."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if check() else 2  # type: ignore[operator]  # any callable
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_lock_that_another_thread_holds_is_free_in_the_child() -> None:
    lock = forks.lock()
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with lock, turn("default"):
            held.set()
            enough.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE)

    code = in_forked_process(lambda: lock.acquire(blocking=False))

    assert lock.locked()
    enough.set()
    holder.join(PATIENCE)
    assert code == 0


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_queue_that_another_thread_has_hold_of_can_be_used_in_the_child() -> None:
    queue = BackgroundTaskQueue()
    with queue._lock:
        code = in_forked_process(lambda: queue.enqueue(print, timeout=1) is None and uuid7())

    assert code == 0


def test_what_is_registered_is_called_once_in_the_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(forks, "_callbacks", [])
    forks.in_child(lambda: calls.append(os.getpid()))

    # As a fork that ran no at-fork hooks is noticed: by another process id.
    monkeypatch.setattr(forks, "_pid", 0)

    assert forks.renew_if_forked()
    assert not forks.renew_if_forked()
    assert calls == [os.getpid()]
