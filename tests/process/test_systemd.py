"""A worker whose service manager listens at a socket, as systemd does."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosting.cancellation import CancellationToken
from hosting.process.asking import ask_at
from hosting.process.systemd import Notifier, Silence, notifier
from tests.host.helpers import (
    Does,
    Fails,
    Journal,
    Runner,
    a_host,
    a_service,
    supervised,
)
from tests.processes import PATIENCE, ManagedProcess, Project
from tests.projects import declare, events, wait_for_fact


class Manager:
    """A service manager at a socket, and what it was told so far, a list for each message."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[list[str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        self._socket.settimeout(PATIENCE)

    def hear_until(self, word: str) -> list[str]:
        """Listen until a message says that; gives the message."""
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode().split("\n"))
            except TimeoutError:
                raise AssertionError(f"nobody said {word!r}, but {self.heard}") from None
            if any(said.startswith(word) for said in self.heard[-1]):
                return self.heard[-1]

    def said(self, word: str) -> bool:
        return any(word in message for message in self.heard)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(f"@{tmp_path}")
    yield made
    made.close()


def a_worker(
    project: Project, manager: Manager, *services: str, watchdog: float | None = None
) -> ManagedProcess:
    env = declare(*services)
    env["NOTIFY_SOCKET"] = manager.name
    if watchdog is not None:
        env["WATCHDOG_USEC"] = str(int(watchdog * 1_000_000))
    return project.start("runworker", "--no-reload", "--health", "127.0.0.1:0", env=env)


def url(process: ManagedProcess) -> str:
    return process.wait_for_line(r"health at (http://\S+)/health/live")[1]


@pytest.mark.process
class TestAWorker:
    def test_it_tells_of_its_start_its_life_and_its_stop(
        self, project: Project, manager: Manager
    ) -> None:
        process = a_worker(project, manager, "Nosy", "Recorder", watchdog=0.2)

        ready = manager.hear_until("READY=1")
        assert ready[1] == "STATUS=hosting Nosy, Recorder"
        wait_for_fact(process, "Recorder execute")
        assert "Nosy NOTIFY_SOCKET=None" in events(process)
        for _ in range(3):
            assert "STATUS=hosting Nosy, Recorder" in manager.hear_until("WATCHDOG=1")
        for question in ("live", "ready", "services"):
            assert ask_at(f"{url(process)}/health/{question}", PATIENCE)["status"] == "ok"

        process.terminate()
        assert manager.hear_until("STOPPING=1")[1] == "STATUS=stopping"
        assert process.wait_exit() == 0
        assert "no answer" in ask_at(f"{url(process)}/health/live", PATIENCE)["reasons"][0]

    def test_it_is_not_ready_before_its_services_have_started(
        self, project: Project, manager: Manager
    ) -> None:
        process = a_worker(project, manager, "Recorder", "Dawdling")
        wait_for_fact(process, "Dawdling start")

        reasons = ask_at(f"{url(process)}/health/ready", PATIENCE)["reasons"]
        assert reasons == ["its services are starting"]
        process.terminate()
        manager.hear_until("STOPPING=1")
        assert process.wait_exit() == 0
        assert not manager.said("READY=1")

    def test_a_stuck_service_is_named_and_the_signs_of_life_end(
        self, project: Project, manager: Manager
    ) -> None:
        process = a_worker(project, manager, "Silent", watchdog=0.2)

        manager.hear_until("WATCHDOG=1")
        message = manager.hear_until("STATUS=Silent is stuck: no sign of life for 0.")
        for _ in range(3):
            message = manager.hear_until("STATUS=")
            assert "WATCHDOG=1" not in message
        process.wait_for_line("Service 'Silent' is stuck: no sign of life for .*; it is here")
        assert ask_at(f"{url(process)}/health/live", PATIENCE)["status"] == "failing"
        assert ask_at(f"{url(process)}/health/ready", PATIENCE)["status"] == "ok"
        process.send(signal.SIGTERM)
        assert process.wait_exit() == 0


def test_a_worker_that_stops_because_of_a_failure_is_given_the_time_for_it(
    manager: Manager,
) -> None:
    end = CancellationToken()
    crashing = supervised(
        a_service("a", Journal(), execute=Fails(ValueError("x"))), restart="never"
    )
    host = a_host(a_service("b", Journal(), stop=Does(lambda _: end.wait())), crashing)
    with Notifier(manager.name, watchdog=0.1).hear(host):
        running = Runner(host.run)
        message = manager.hear_until("STOPPING=1")
        assert message[1] == "STATUS=stopping, because service 'a' failed for good"
        for _ in range(3):
            manager.hear_until("WATCHDOG=1")
        end.cancel()
        running.result()


def test_nothing_older_is_told_after_the_word_that_it_is_ready(manager: Manager) -> None:
    is_held, is_ready = threading.Event(), threading.Event()

    class Slow(Notifier):
        def tell(self, *words: str) -> None:
            if "STATUS=starting" in words:  # held up, while the start goes on
                is_held.set()
                assert not is_ready.wait(0.5)
            super().tell(*words)
            if "READY=1" in words:
                is_ready.set()

    host = a_host(a_service("a", Journal(), start=Does(lambda _: is_held.wait(PATIENCE))))
    with Slow(manager.name).hear(host):
        running = Runner(host.run)
        assert manager.hear_until("READY=1") == ["READY=1", "STATUS=hosting a"]
        assert ["STATUS=starting"] in manager.heard
        host.lifetime.stop()
        assert manager.hear_until("STOPPING=1") == ["STOPPING=1", "STATUS=stopping"]
        running.result()


class TestTheEnvironment:
    @pytest.fixture(autouse=True)
    def _nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            monkeypatch.delenv(name, raising=False)

    def test_where_nobody_listens_nobody_is_told(self) -> None:
        found = notifier()
        assert type(found) is Silence
        found.tell("READY=1")

    @pytest.mark.parametrize(
        ("period", "pid", "watchdog"),
        [
            ("", "", None),
            ("0", "", None),
            ("soon", "", None),
            ("3000000", "", 3.0),
            ("500000", "own", 0.5),
            ("500000", "1", None),
        ],
    )
    def test_it_is_taken_by_whom_it_is_for(
        self, monkeypatch: pytest.MonkeyPatch, period: str, pid: str, watchdog: float | None
    ) -> None:
        for name, value in (
            ("NOTIFY_SOCKET", "/run/x"),
            ("WATCHDOG_USEC", period),
            ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid),
        ):
            monkeypatch.setenv(name, value)
        found = notifier()
        assert isinstance(found, Notifier)
        assert found.watchdog == watchdog
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()

    @pytest.mark.parametrize("kind", ["@", ""])
    def test_the_socket_may_be_abstract_or_a_file(self, kind: str, tmp_path: Path) -> None:
        listening = Manager(f"{kind}{tmp_path}/notify")
        Notifier(listening.name).tell("READY=1", "STATUS=fine")
        assert listening.hear_until("READY=1") == ["READY=1", "STATUS=fine"]
        listening.close()

    def test_a_socket_that_is_gone_is_told_of_and_stops_nobody(
        self, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        Notifier(str(tmp_path / "gone")).tell("READY=1")
        assert "The service manager at NOTIFY_SOCKET cannot be told: " in caplog.text
