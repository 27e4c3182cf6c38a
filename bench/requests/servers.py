"""The web servers, each with one process that serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers.base import python


@dataclass(frozen=True, slots=True)
class Server:
    """One way to start a server; `{socket}` in its arguments is the path of its Unix socket."""

    name: str
    module: str
    arguments: Sequence[str]
    page: str  # the URL of the view that suits it
    keeps_alive: bool = True  # the connection, for the next request

    def command(self, socket: Path) -> Sequence[str]:
        return python(self.module, *(each.format(socket=socket) for each in self.arguments))


def _gunicorn(name: str, *options: str, keeps_alive: bool) -> Server:
    listens = ("--bind", "unix:{socket}", "--no-control-socket", "--log-level", "warning")
    arguments = (*listens, "--workers", "1", *options, "bench.requests.site.wsgi:application")
    return Server(name, "gunicorn", arguments, "/sync", keeps_alive)


def _uvicorn(name: str, *options: str) -> Server:
    listens = ("--uds", "{socket}", "--no-access-log", "--log-level", "warning")
    arguments = (*listens, *options, "bench.requests.site.asgi:application")
    return Server(name, "uvicorn", arguments, "/async")


_ALL = (
    _gunicorn("gunicorn-sync", keeps_alive=False),
    _gunicorn("gunicorn-gthread", "--worker-class", "gthread", "--threads", "4", keeps_alive=True),
    _uvicorn("uvicorn", "--loop", "uvloop", "--http", "httptools"),
)

SERVERS = {server.name: server for server in _ALL}
