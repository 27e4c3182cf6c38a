"""Questions about the health of this process over HTTP, where no web server takes them.

A few lines of HTTP on a port of its own. It answers GET and HEAD of a few paths, and whoever is
slow, or sends nothing, holds up nobody: each connection has a thread and `TIME_LIMIT` seconds, and
beyond `MOST_CONNECTIONS` the oldest is closed for the newest.
"""

from __future__ import annotations

import json
import logging
import re
import selectors
import socket
import socketserver
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from hosting import forks
from hosting.alarm import alarm
from hosting.observability.health import QUESTIONS, Answer, Subject
from hosting.observability.metrics import render_metrics
from hosting.process.current import absence, current_host, set_absence
from hosting.process.logs import ensure_logging

logger = logging.getLogger(__name__)

#: Seconds that a connection has for its question and the answer.
TIME_LIMIT = 5.0

MOST_CONNECTIONS = 32

#: Seconds between two attempts to take a connection while the process has no file left for it.
PAUSE = 0.5

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^][:\s]+)):(?P<port>\d{1,5})")
_PATH = re.compile(rf"(?:/hosting)?/health/(?P<question>{'|'.join(QUESTIONS)})/?")

_METRICS = re.compile(r"(?:/hosting)?/metrics/?")


def ask(question: str) -> Answer:
    """The answer of this process to a question; in detail if DEBUG is on."""
    subject = Subject(current_host(), absence())
    return QUESTIONS[question](subject, detailed=settings.DEBUG)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "HOST:PORT"; raises ValueError saying what is allowed."""
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(
            "allowed: HOST:PORT, such as 127.0.0.1:8081 or [::1]:8081, with a port up to 65535 "
            "(0: any that is free)"
        )
    return found["ipv6"] or found["host"], int(found["port"])


def address_of(address: str, slot: int) -> str:
    """Where the worker of a slot answers, from 1 on, if the first one does at this address.

    Raises ValueError if there is no such port, or the address is none, or with a port of 0.
    """
    host, first = parse_address(address)
    if first == 0:
        raise ValueError("allowed with several processes: a port from 1 on, the first one's")
    if (port := first + slot - 1) > 65535:
        raise ValueError(f"which makes {port} the port of process {slot}, allowed: up to 65535")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def require_usable(address: str) -> None:
    """Raise ValueError if nobody can listen at the address now."""
    host, port = parse_address(address)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except OSError as error:
        raise ValueError(f"and {address} cannot be used: {error.strerror or error}") from error


class ProbeServer(socketserver.ThreadingTCPServer):
    """Answers at an address, "HOST:PORT", from now on until its `with` block ends.

    Raises ValueError if that is no address, or cannot be used.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    timeout = 0.0  # who has connected is taken; waiting is done in `_run`

    def __init__(self, address: str) -> None:
        host, port = parse_address(address)
        try:
            self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            super().__init__((host, port), _Probe)
        except OSError as error:
            raise ValueError(f"which cannot be used: {error.strerror or error}") from error
        set_absence("its services have not started yet")
        self.socket.setblocking(False)
        forks.in_child(self.socket.close)
        self._open: deque[socket.socket] = deque()
        self._closing = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="hosting:health", daemon=True)
        self._thread.start()
        ensure_logging()
        logger.info("Telling of health at %s/health/live", self.url)

    @property
    def url(self) -> str:
        """The root of its addresses, with the port that it has."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def __exit__(self, *args: object) -> None:
        self._closing.set()
        self._wake.send(b".")
        self._thread.join(TIME_LIMIT)
        self.server_close()
        self._wake.close()
        self._woken.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select()
                self.handle_request()

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except BlockingIOError:
            raise  # nobody is there any more
        except OSError:
            self._closing.wait(PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.append(request)
        if len(self._open) > MOST_CONNECTIONS:
            _hang_up(self._open.popleft())
        alarm.ring_at(
            time.monotonic() + TIME_LIMIT, partial(_hang_up, request), lambda: request.fileno() < 0
        )
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("A question about health was not answered", exc_info=True)


class _Probe(BaseHTTPRequestHandler):
    """One question."""

    timeout = TIME_LIMIT

    def do_GET(self) -> None:
        try:
            self._answer()
        except OSError:  # who asked is gone
            raise
        except Exception:  # such as one of a collector of metrics that the project has added
            logger.exception("A question at %s cannot be answered", self.path)
            reasons = ["the answer cannot be made; the log tells why"]
            self._say(500, {"status": "failing", "reasons": reasons})

    def _answer(self) -> None:
        path = _path(self.path)
        if asked := _PATH.fullmatch(path):
            answer = ask(asked["question"])
            self._say(answer.status_code, answer.as_json())
        elif _METRICS.fullmatch(path) and (metrics := render_metrics()):
            self._send(200, *metrics)
        else:
            known = [
                *(f"/health/{question}" for question in QUESTIONS),
                "/metrics if METRICS is on",
            ]
            self._say(404, {"status": "unknown", "allowed": known})

    def do_POST(self) -> None:
        self._say(405, {"status": "refused", "allowed": ["GET", "HEAD"]}, Allow="GET, HEAD")

    do_HEAD = do_GET  # noqa: N815 - as http.server asks for them
    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815 - as above

    def version_string(self) -> str:
        return "hosting"

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)

    def _say(self, status: int, body: dict[str, Any], **headers: str) -> None:
        content = json.dumps(body, default=str).encode()
        self._send(status, content, "application/json", **headers)

    def _send(self, status: int, content: bytes, content_type: str, **headers: str) -> None:
        told = {
            "Content-Type": content_type,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            **headers,
        }
        self.send_response(status)
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _path(target: str) -> str:
    """The path that is asked for; none of ours if the address is malformed."""
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
