"""The port on which a worker tells of its health, as those who ask see it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from hosting.host import Host
from hosting.process import current, probes
from hosting.process.probes import ProbeServer, parse_address
from tests.host.helpers import PATIENCE, Journal, a_host, a_service, until


@pytest.fixture(autouse=True)
def no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "_host", None)
    monkeypatch.setattr(current, "_absence", (0, ""))


@pytest.fixture
def server() -> Iterator[ProbeServer]:
    with ProbeServer("127.0.0.1:0") as made:
        yield made


@pytest.fixture
def host(server: ProbeServer) -> Iterator[Host]:
    made = a_host(a_service("a", Journal()))
    current.set_current_host(made)
    with made:
        yield made


def ask(server: ProbeServer, path: str, method: str = "GET") -> tuple[int, bytes, Any]:
    """The status, the body and the headers of an answer."""
    place, port = server.server_address[:2]
    connection = http.client.HTTPConnection(str(place), int(port), timeout=PATIENCE)
    with closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read(), response.headers


def connect(server: ProbeServer) -> socket.socket:
    made = socket.create_connection(server.server_address[:2], timeout=PATIENCE)
    return made


@pytest.mark.parametrize("prefix", ["", "/hosting"])
@pytest.mark.parametrize("question", ["live", "ready", "services"])
def test_the_paths_are_those_of_a_web_process_with_and_without_a_prefix(
    server: ProbeServer, host: Host, prefix: str, question: str
) -> None:
    status, body, headers = ask(server, f"{prefix}/health/{question}?now")
    assert status == 200
    assert json.loads(body)["pid"] == os.getpid()
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/metrics", "/hosting/metrics"])
def test_metrics_are_there_if_they_are_switched_on(
    server: ProbeServer, host: Host, settings: Any, path: str
) -> None:
    assert ask(server, path)[0] == 404
    pytest.importorskip("prometheus_client")
    settings.HOSTING = {"METRICS": True}
    status, body, headers = ask(server, path)
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    assert b"\n# HELP " in body


def test_the_answers_change_with_the_host(server: ProbeServer, host: Host) -> None:
    host.lifetime.stop()
    status, body, _ = ask(server, "/health/ready")
    assert status == 503
    assert json.loads(body)["reasons"] == ["its services are stopping"]


def test_until_there_is_a_host_the_process_is_not_ready(server: ProbeServer) -> None:
    assert ask(server, "/health/live")[0] == 200
    assert ask(server, "/health/ready")[0] == 503


def test_head_has_the_headers_alone(server: ProbeServer, host: Host) -> None:
    status, body, headers = ask(server, "/health/live", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_but_reading_is_allowed(server: ProbeServer, method: str) -> None:
    status, _, headers = ask(server, "/health/live", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/", "/health", "/health/lives", "/x/health/live", "/health/live/x"]
)
def test_there_is_nothing_else(server: ProbeServer, path: str) -> None:
    status, body, _ = ask(server, path)
    assert status == 404
    assert "/health/live" in json.loads(body)["allowed"]


def test_what_is_no_http_ends_that_connection_alone(server: ProbeServer, host: Host) -> None:
    with connect(server) as talker:
        talker.sendall(b"\x16\x03\x01\x00\n\n")
        talker.recv(10_000)
    assert ask(server, "/health/live")[0] == 200


def test_a_malformed_address_is_not_found(server: ProbeServer, host: Host) -> None:
    with connect(server) as talker:
        talker.sendall(b"GET http://[/health/live HTTP/1.1\r\n\r\n")
        assert talker.makefile("rb").readline().startswith(b"HTTP/1.0 404 ")


def test_an_answer_that_cannot_be_made_is_one_too(
    server: ProbeServer,
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raise_error() -> None:
        raise LookupError("a secret")

    monkeypatch.setattr(probes, "render_metrics", raise_error)
    status, body, _ = ask(server, "/metrics")
    assert status == 500
    assert json.loads(body)["status"] == "failing"
    assert b"secret" not in body
    assert "A question at /metrics cannot be answered" in caplog.text
    assert ask(server, "/health/live")[0] == 200


def test_who_is_slow_holds_up_nobody(server: ProbeServer, host: Host) -> None:
    slow = [connect(server) for _ in range(5)]
    slow[0].sendall(b"GET /health/li")
    assert ask(server, "/health/live")[0] == 200
    for each in slow:
        each.close()


def test_who_is_slow_for_too_long_is_hung_up(
    monkeypatch: pytest.MonkeyPatch, server: ProbeServer
) -> None:
    """Also who sends a little now and then."""
    monkeypatch.setattr(probes, "TIME_LIMIT", 0.1)
    with connect(server) as slow:
        slow.settimeout(0.02)
        until(lambda: is_hung_up(slow))


def is_hung_up(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"x")
        return connection.recv(10) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_of_too_many_the_oldest_is_hung_up(
    monkeypatch: pytest.MonkeyPatch, server: ProbeServer, host: Host
) -> None:
    monkeypatch.setattr(probes, "MOST_CONNECTIONS", 3)
    slow = [connect(server) for _ in range(3)]
    for each in slow:
        each.sendall(b"GET ")
    assert ask(server, "/health/live")[0] == 200
    slow[0].settimeout(probes.TIME_LIMIT / 2)  # after all of it each is hung up
    assert slow[0].recv(10) == b""
    for each in slow:
        each.close()


def test_the_address_of_ipv6() -> None:
    try:
        with ProbeServer("[::1]:0") as server:
            assert server.url.startswith("http://[::1]:")
            assert ask(server, "/health/live")[0] == 200
    except ValueError as error:
        pytest.skip(str(error))


def test_a_taken_port_is_one_error(server: ProbeServer) -> None:
    port = server.server_address[1]
    with pytest.raises(ValueError, match=r"^which cannot be used: Address already in use$"):
        ProbeServer(f"127.0.0.1:{port}")


def test_a_port_is_free_again_at_once_and_no_thread_is_left() -> None:
    with ProbeServer("127.0.0.1:0") as server:
        port = server.server_address[1]
        assert ask(server, "/health/live")[0] == 200
    with ProbeServer(f"127.0.0.1:{port}"):
        pass
    until(lambda: not any(each.name == "hosting:health" for each in threading.enumerate()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8081", ("127.0.0.1", 8081)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:8081", ("::1", 8081)),
        ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, found: tuple[str, int]) -> None:
    assert parse_address(text) == found


@pytest.mark.parametrize(
    "text", ["", "8081", ":8081", "127.0.0.1", "127.0.0.1:", "::1:8081", "a b:1", "h:65536", "h:-1"]
)
def test_anything_else_is_told_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"^allowed: HOST:PORT, such as "):
        parse_address(text)


def test_a_host_that_does_not_exist_is_one_error() -> None:
    with pytest.raises(ValueError, match=r"^which cannot be used: "):
        ProbeServer("256.256.256.256:0")
