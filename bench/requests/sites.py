"""A server with one web process, whose host is off, idle or busy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from bench.peers.base import python
from bench.place import Place
from bench.requests.load import Load
from bench.requests.servers import Server
from bench.waiting import pause, wait_until
from bench.workers import Worker

#: Seconds in which a server has to listen.
STARTUP = 30
#: Seconds after the last job, in which the worker and the database do what they do after work.
REST = 1.0


class State(StrEnum):
    OFF = "off"
    IDLE = "idle"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Site:
    """A server, and the state of its host while it is measured."""

    server: Server
    state: State
    place: Place
    environment: Mapping[str, str]
    process: Worker

    def measure(self, connections: int, warm_up: float, seconds: float) -> Mapping[str, float]:
        """The numbers of some seconds of load, in the host's state."""
        load = Load(
            socket=str(_socket(self.place)),
            page=self.server.page,
            tally=str(self.place.path("tally")),
            connections=connections,
            keeps_alive=self.server.keeps_alive,
            warm_up=warm_up,
            seconds=seconds,
        )
        command = python("bench.requests.load", json.dumps(asdict(load)))
        if self.state is State.BUSY:
            with self.feed():
                return self._numbers(command)
        return self._numbers(command)

    def cpu_seconds(self) -> float:
        """The processor time that the server's processes have taken so far."""
        return self.process.usage().cpu

    @contextmanager
    def feed(self) -> Iterator[None]:
        """Keep jobs waiting, of which the first is executed by now; at the end none is left."""
        with subprocess.Popen(
            python("bench.requests.feeder"),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as feeder:
            assert feeder.stdout is not None
            if not feeder.stdout.readline():
                self.process.require_alive()
                raise RuntimeError("no job was executed")
            yield
        if feeder.returncode:
            raise RuntimeError(f"the feeder ended with {feeder.returncode}")
        pause(REST)

    def _numbers(self, command: list[str]) -> Mapping[str, float]:
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        self.process.require_alive()
        done.check_returncode()
        numbers: dict[str, float] = json.loads(done.stdout)
        return numbers


@contextmanager
def serving(server: Server, state: State, place: Place) -> Iterator[Site]:
    """A site that serves, and hosts if it is to; it ends with the block."""
    environment = _environment(state, place)
    migrate = python("bench.project", "migrate", "--run-syncdb", "--verbosity", "0")
    subprocess.run(migrate, env=environment, check=True)
    process = Worker(server.command(_socket(place)), place.path("log"), environment)
    try:
        wait_until(lambda: _listens(process, _socket(place)), f"{server.name} listens", STARTUP)
        site = Site(server, state, place, environment, process)
        if state is not State.OFF:
            with site.feed():
                pass  # the host hosts, as jobs are executed
        yield site
    finally:
        process.end()


def _environment(state: State, place: Place) -> Mapping[str, str]:
    environment = {**os.environ, **place.environment()}
    environment["DJANGO_SETTINGS_MODULE"] = "bench.requests.site.settings"
    environment.pop("HOSTING_AUTOSTART", None)
    if state is State.OFF:
        environment["HOSTING_AUTOSTART"] = "0"
    return environment


def _socket(place: Place) -> Path:
    return place.path("web.sock")


def _listens(process: Worker, path: Path) -> bool:
    process.require_alive()
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        return True
    return False
