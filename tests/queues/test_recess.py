"""How short jobs wait while their worker writes."""

import threading
import time

import pytest

from hosting.queues import recess
from hosting.queues.recess import Recess
from tests.queues.conftest import until


@pytest.fixture(autouse=True)
def long_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recess, "MOMENT", 60.0)
    monkeypatch.setattr(recess, "GLANCE", 60.0)


class Keeper:
    """A thread that comes to a recess."""

    def __init__(self, recess: Recess) -> None:
        self.has_gone_on = threading.Event()
        self._recess = recess
        self.thread = threading.Thread(target=self._keep, daemon=True)
        self.thread.start()

    def _keep(self) -> None:
        self._recess.keep()
        self.has_gone_on.set()


@pytest.fixture
def ours() -> Recess:
    return Recess()


def test_outside_of_a_recess_nobody_waits(ours: Recess) -> None:
    ours.keep()
    with ours.opened(is_awaited=False):
        pass
    ours.keep()


def test_who_comes_to_a_recess_waits_for_its_end(ours: Recess) -> None:
    with ours.opened(is_awaited=False):
        keepers = [Keeper(ours) for _ in range(3)]
        assert not keepers[0].has_gone_on.wait(0.05)
    for keeper in keepers:
        assert keeper.has_gone_on.wait(10)


def test_one_that_is_awaited_begins_when_somebody_has_come(ours: Recess) -> None:
    has_begun, is_to_end = threading.Event(), threading.Event()

    def write() -> None:
        with ours.opened(is_awaited=True):
            has_begun.set()
            is_to_end.wait(10)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    until(ours._is_on.locked)
    assert not has_begun.wait(0.05)
    keeper = Keeper(ours)
    assert has_begun.wait(10)
    assert not keeper.has_gone_on.is_set()
    is_to_end.set()
    assert keeper.has_gone_on.wait(10)


def test_who_writes_does_not_wait_for_a_long_job(
    ours: Recess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recess, "GLANCE", 0.001)
    with ours.opened(is_awaited=True):
        pass


def test_one_that_lasts_is_waited_for_once(ours: Recess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recess, "MOMENT", 0.05)
    with ours.opened(is_awaited=False):
        ours.keep()
        monkeypatch.setattr(recess, "MOMENT", 60.0)
        began = time.monotonic()
        ours.keep()
        assert time.monotonic() - began < 0.05


def test_it_ends_with_an_error_too(ours: Recess) -> None:
    with pytest.raises(RuntimeError), ours.opened(is_awaited=False):
        raise RuntimeError("the database is away")
    ours.keep()
    assert Keeper(ours).has_gone_on.wait(10)
