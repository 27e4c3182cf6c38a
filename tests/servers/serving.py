"""A server that runs: the processes that host in it, and its pages."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tests.processes import PATIENCE, ROOT, ManagedProcess, Project
from tests.projects import Fact, facts
from tests.servers.launches import Launch

T = TypeVar("T")


#: A crash that a test is about.
EXPECTED = r"the disk is full"


class Serving:
    """A server under way, and what its processes have written."""

    def __init__(
        self,
        project: Project,
        launch: Launch,
        env: Mapping[str, str],
        folder: Path,
        *options: str,
    ) -> None:
        self.project = project
        self.launch = launch
        self.watched = folder / f"watched_{launch.distribution}.py"
        self.watched.write_text("")
        self.env = {
            **env,
            **launch.env,
            "WATCHED": self.watched.stem,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
        }
        self.may_fail = False  # whether an error in its output is none of the test's
        self.port = free_port()
        words = launch.program(self.port, folder, *options)
        is_python = words[0].endswith(".py")
        self.process: ManagedProcess = project.start(
            *words[1:],
            program=words[:1] if is_python else (),
            executable=sys.executable if is_python else words[0],
            env=self.env,
        )

    def hosts(self) -> list[int]:
        """The processes in which the service has begun, in that order."""
        found = [fact.pid for fact in self.facts() if fact[:2] == ("Recorder", "execute")]
        return list(dict.fromkeys(found))

    def wait_for_hosts(self, count: int) -> list[int]:
        """The processes that host, once there have been so many."""
        return self.wait(lambda: found if len(found := self.hosts()) >= count else None)

    def facts(self) -> list[Fact]:
        """What the services of its processes have written so far."""
        return facts(self.process)

    def events(self, pid: int, service: str = "Recorder") -> list[str]:
        """What has happened to a service in one process."""
        return [fact.event for fact in self.facts() if (fact.pid, fact.service) == (pid, service)]

    def tracebacks(self) -> list[str]:
        """The errors that its processes tell of, but for that of the service that is to crash."""
        lines = self.process.lines
        at = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
        errors = ["\n".join(lines[number : number + 30]) for number in at]
        return [error for error in errors if not re.search(EXPECTED, error)]

    def get(self, path: str, timeout: float = PATIENCE) -> tuple[int, str]:
        """The status and body of a page; the status is 0 if the server ended the connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (ConnectionError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def get_process(self) -> dict[str, Any]:
        """What one of its processes says of itself, once it answers."""

        def asked() -> dict[str, Any] | None:
            status, body = self.get("/process")
            return json.loads(body) if status == 200 else None

        return self.wait(asked)

    def wait_for_answers(self) -> set[int]:
        """The processes that serve, once so many of them have answered as there are to be."""
        answered: set[int] = set()

        def all_have() -> set[int] | None:
            together = [self.in_background("/process?seconds=0.1") for _ in range(4)]
            replies = [each.result() for each in together]
            answered.update(json.loads(body)["pid"] for status, body in replies if status == 200)
            return answered if len(answered) >= self.launch.serving else None

        return self.wait(all_have)

    def in_background(self, path: str) -> Background:
        """Get a page on another thread."""
        return Background(lambda: self.get(path))

    def wait(self, ask: Callable[[], T | None], patience: float = PATIENCE) -> T:
        """What `ask` gives as soon as it is something; other processes cannot call back."""
        deadline, pause = time.monotonic() + patience, threading.Event()
        while not (given := ask()):
            output = self.process.output
            assert time.monotonic() < deadline, f"not after {patience} s:\n{output}"
            assert self.process.is_running, f"{self.process} ended:\n{output}"
            pause.wait(0.05)
        return given


class Background:
    """A call on a thread of its own, and its result."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._result: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self) -> Any:
        """What the call gave, once it has."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self._result

    def _run(self) -> None:
        self._result = self._call()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
