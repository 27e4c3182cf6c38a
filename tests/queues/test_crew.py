"""The threads that jobs run on, where the system gives none."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hosting.queues import crew
from hosting.queues.crew import Crew
from tests.queues.conftest import until


def test_a_thread_that_is_not_to_be_had_is_tried_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    worked = threading.Event()

    def work() -> bool:
        worked.set()
        return True

    def refuse(*args: Any) -> None:
        raise RuntimeError("can't start new thread")

    members = Crew("test", 1, work, lambda: None)
    with monkeypatch.context() as patched:
        patched.setattr(crew, "ServiceThread", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            members.wake(1)
    assert members.idle == 1
    members.wake(1)
    assert worked.wait(20)
    until(lambda: members.idle == 1)
    members.close()
