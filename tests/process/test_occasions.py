"""The occasions on which the start gate is asked, in a process that stands still."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.test.client import ClientHandler

from hosting.process import current, gate
from hosting.process.facts import ProcessFacts
from hosting.process.servers import Role
from tests.processes import PATIENCE

SERVING = ProcessFacts("serve.py", server="waitress", role=Role.SERVES)
UNKNOWN = ProcessFacts("serve.py")


class Begun:
    """Stands for the host of a web process, which would begin services in this one."""

    def __init__(self, **_: Any) -> None:
        self.pid = os.getpid()
        self.has_ended = False
        self.joined = 0
        begun.append(self)

    def join_handlers(self) -> None:
        self.joined += 1


begun: list[Begun] = []


class Situation:
    """What the process is seen to be, which a test changes."""

    facts = UNKNOWN


@pytest.fixture
def situation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Situation]:
    seen = Situation()
    begun.clear()
    monkeypatch.setattr(gate, "WebHosting", Begun)
    monkeypatch.setattr(gate, "gather", lambda **_: seen.facts)
    monkeypatch.setattr(gate, "ensure_logging", lambda: None)
    monkeypatch.setattr(gate, "_hosting", None)
    monkeypatch.setattr(gate, "_loaded_in", os.getpid())
    monkeypatch.setattr(gate, "_tries_left", gate.TRIES)
    monkeypatch.setattr(gate, "_has_lifespan", False)
    request_started.connect(gate.at_first_request)
    yield seen
    request_started.disconnect(gate.at_first_request)


def is_listening() -> bool:
    found = request_started.disconnect(gate.at_first_request)
    if found:
        request_started.connect(gate.at_first_request)
    return found


def test_a_process_that_serves_begins_when_the_project_is_loaded(situation: Situation) -> None:
    situation.facts = SERVING

    gate.at_ready()

    assert len(begun) == 1


def test_one_that_does_not_serve_waits_for_what_may_come(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks: list[object] = []
    monkeypatch.setattr(gate, "call_in_workers", hooks.append)

    gate.at_ready()

    assert begun == []
    assert is_listening()
    assert hooks == [gate.in_forked_process]


def test_the_first_request_of_a_server_begins_the_host_and_is_the_last_that_asks(
    situation: Situation,
) -> None:
    situation.facts = SERVING

    gate.at_first_request(WSGIHandler)

    assert len(begun) == 1
    assert not is_listening()


@pytest.mark.parametrize("sender", [ClientHandler, None, WSGIHandler()])
def test_a_test_client_is_no_server(situation: Situation, sender: Any) -> None:
    situation.facts = SERVING

    gate.at_first_request(sender)

    assert begun == []
    assert is_listening()


def test_requests_of_one_moment_begin_one_host(situation: Situation) -> None:
    situation.facts = SERVING
    together = threading.Barrier(8)

    def request() -> None:
        together.wait(PATIENCE)
        gate.at_first_request(ASGIHandler)

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert len(begun) == 1


def test_a_request_that_the_project_makes_itself_is_not_the_last_that_asks(
    situation: Situation, caplog: pytest.LogCaptureFixture
) -> None:
    gate.at_first_request(WSGIHandler)
    situation.facts = SERVING
    gate.at_first_request(WSGIHandler)

    assert len(begun) == 1
    assert caplog.records == []


def test_a_server_that_is_not_recognised_is_told_of_once(
    situation: Situation, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(gate.TRIES):
        assert is_listening()
        gate.at_first_request(WSGIHandler)

    assert not is_listening()
    [record] = caplog.records
    assert "set HOSTING_AUTOSTART=1" in record.getMessage()


def test_what_goes_wrong_ends_neither_the_request_nor_the_worker(
    situation: Situation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("no threads are left")

    monkeypatch.setattr(gate, "WebHosting", fail)
    situation.facts = SERVING

    gate.at_first_request(WSGIHandler)
    gate.in_forked_process()

    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        "no threads are left"
    ] * 2


def test_a_process_forked_from_one_that_hosts_does_not(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    situation.facts = SERVING
    gate.at_lifespan()
    begun[0].pid = 0  # another process's

    gate.in_forked_process()

    assert len(begun) == 1


def test_the_first_request_in_such_a_process_shows_that_it_serves(situation: Situation) -> None:
    situation.facts = SERVING
    gate.at_lifespan()
    begun[0].pid = 0  # another process's

    gate.at_first_request(WSGIHandler)

    assert len(begun) == 2


def test_a_lifespan_joins_the_handlers_of_a_host_that_had_begun(situation: Situation) -> None:
    situation.facts = SERVING
    gate.at_first_request(WSGIHandler)

    gate.at_lifespan()

    assert [host.joined for host in begun] == [1]


def test_a_second_server_in_the_same_process_gets_a_host_of_its_own(situation: Situation) -> None:
    situation.facts = SERVING
    gate.at_lifespan()
    begun[0].has_ended = True

    gate.at_lifespan()

    assert len(begun) == 2


def test_a_wish_that_is_not_understood_leaves_a_process_without_the_host_it_may_need(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it does not pass for one that is to host nothing (see `hosting.observability`)."""
    monkeypatch.setattr(current, "_absence", (0, ""))
    situation.facts = replace(SERVING, autostart_problem="HOSTING_AUTOSTART is 'maybe'")

    gate.at_ready()

    assert begun == []
    assert current.absence() == "it is not understood whether it is to host"


def test_so_does_a_beginning_that_fails(
    situation: Situation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("forked within a transaction")

    monkeypatch.setattr(current, "_absence", (0, ""))
    monkeypatch.setattr(gate, "WebHosting", fail)
    situation.facts = SERVING

    gate.at_lifespan()

    assert current.absence() == "it could not begin to host"
