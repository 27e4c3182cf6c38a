"""The host of this process, and of no other."""

import os

import pytest

from hosting.host import Host
from hosting.process import current
from hosting.process.current import current_host, set_current_host


@pytest.fixture(autouse=True)
def _no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "_host", None)


def test_there_is_none_at_first() -> None:
    assert current_host() is None


def test_it_is_the_one_that_was_set() -> None:
    host = Host([])
    set_current_host(host)

    assert current_host() is host


def test_one_that_was_inherited_through_a_fork_does_not_count() -> None:
    host = Host([])
    set_current_host(host)
    host.pid = os.getppid()

    assert current_host() is None
