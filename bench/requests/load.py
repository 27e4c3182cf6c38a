"""A process that asks for a page again and again, by connections that never rest.

    python -m bench.requests.load '{"socket": …, "page": …}'

The last line of its output is JSON: the numbers by name, which says their unit. The time of an
answer is taken from before the request is sent, or before the connection is made where each request
has one of its own, until all of the answer is there.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from bench.percentiles import percentile
from bench.tally import Tally

#: What the view answers.
ANSWER = b"served\n"

#: Seconds in which an answer has to come.
PATIENCE = 30

_BEGINNING, _END = b"HTTP/1.1 200 ", b"\r\n\r\n" + ANSWER


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is asked for, and of whom."""

    socket: str  # the path of the server's
    page: str
    tally: str  # the path of the file that counts the jobs that are executed meanwhile
    connections: int
    keeps_alive: bool
    warm_up: float  # seconds before those that count
    seconds: float


class Connection:
    """One of the load's, with one request on its way at a time."""

    def __init__(self, load: Load, selector: selectors.BaseSelector) -> None:
        self._path, self._keeps_alive = load.socket, load.keeps_alive
        self._request = f"GET {load.page} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self._selector = selector
        self._socket: socket.socket | None = None

    def ask(self) -> None:
        """Send a request, by a new connection if there is none."""
        self._sent = time.perf_counter_ns()
        self._received = b""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(self._path)
            self._selector.register(self._socket, selectors.EVENT_READ, self)
        self._socket.sendall(self._request)

    def receive(self) -> int:
        """Take what has come; the nanoseconds since the request if that is all, else 0.

        Raises RuntimeError for another answer than is expected.
        """
        assert self._socket is not None
        part = self._socket.recv(65536)
        self._received += part
        if not (self._received.startswith(_BEGINNING) and self._received.endswith(_END)):
            if not part or len(self._received) > 10_000:
                raise RuntimeError(f"the server answers {self._received[:500]!r}")
            return 0
        took = time.perf_counter_ns() - self._sent
        if not self._keeps_alive:
            self.close()
        return took

    def close(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


def measure(load: Load) -> Mapping[str, float]:
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for _ in range(load.connections):
            connection = stack.enter_context(closing(Connection(load, selector)))
            connection.ask()
        _answers(selector, load.warm_up)
        tally = Tally(Path(load.tally))
        began, jobs = time.perf_counter(), tally.started
        taken = _answers(selector, load.seconds)
        jobs, seconds = tally.started - jobs, time.perf_counter() - began
    taken.sort()
    return {
        "requests_per_second": len(taken) / seconds,
        "p50_ms": percentile(taken, 50) / 1e6,
        "p99_ms": percentile(taken, 99) / 1e6,
        "jobs_per_second": jobs / seconds,
    }


def _answers(selector: selectors.BaseSelector, seconds: float) -> list[int]:
    """The nanoseconds of each answer that comes within these seconds."""
    taken = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        ready = selector.select(PATIENCE)
        if not ready:
            raise TimeoutError(f"no answer within {PATIENCE} s")
        for key, _ in ready:
            connection: Connection = key.data
            if took := connection.receive():
                taken.append(took)
                connection.ask()
    return taken


if __name__ == "__main__":
    print(json.dumps(measure(Load(**json.loads(sys.argv[1])))), flush=True)
