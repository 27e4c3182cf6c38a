"""Servers that a script of the project starts: known by the lifespan, or by the first request."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from hosting.process.gate import TRIES
from tests.servers.conftest import Start
from tests.servers.launches import Launch
from tests.servers.test_every_server import assert_hosted_once

pytestmark = [pytest.mark.process, pytest.mark.servers]

WAITRESS = """
import waitress
from tests.projects.wsgi import application

waitress.serve(application, listen="127.0.0.1:{port}")
"""
UVICORN = """
import uvicorn
from tests.projects.asgi import {application} as application

uvicorn.run(application, port={port})
"""
WSGIREF = """
from wsgiref.simple_server import make_server
from tests.projects.wsgi import application

make_server("127.0.0.1", {port}, application).serve_forever()
"""
CLIENT = """
import django
django.setup()
from django.test import Client

print("status", Client().get("/process", headers={{"host": "localhost"}}).status_code)
"""

SAID_AT_START = "'-c' is not known to serve requests"
SAID_AT_REQUEST = "'-c' serves requests by a server that is not recognised"


def script(text: str, needs: str = "django") -> Launch:
    return Launch("a script", needs, (sys.executable, "-c", text), serving=1, has_parent=False)


@pytest.mark.parametrize(
    ("text", "needs"),
    [
        (WAITRESS, "waitress"),
        (UVICORN.replace("{application}", "without_lifespan"), "uvicorn"),
        (UVICORN.replace("{application}", "application"), "uvicorn"),
    ],
    ids=["waitress", "uvicorn, no lifespan", "uvicorn"],
)
def test_it_is_known_by_its_first_request_at_the_latest(
    text: str, needs: str, start: Start
) -> None:
    server = start(script(text, needs))

    pid = server.get_process()["pid"]

    assert server.wait_for_hosts(1) == [pid] == [server.process.pid]
    # From a request's thread the main thread is asked to handle signals, when it next can.
    server.get_process()
    server.wait(lambda: catches_sigterm(pid))
    server.process.terminate()
    server.process.wait_all_gone()
    assert_hosted_once(server, pid)


def catches_sigterm(pid: int) -> bool:
    """Whether the process has a handler for it, as the system sees it."""
    status = Path(f"/proc/{pid}/status").read_text()
    [caught] = re.findall(r"^SigCgt:\t([0-9a-f]+)$", status, re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def test_a_child_forked_from_a_process_that_began_later_hosts_nothing(start: Start) -> None:
    server = start(script(WAITRESS, "waitress"))
    server.get_process()
    server.wait_for_hosts(1)

    child = json.loads(server.get("/fork")[1])

    assert child["exit code"] == 0
    server.process.terminate()
    server.process.wait_all_gone()
    assert server.hosts() == [server.process.pid]


def test_the_lifespan_tells_before_any_request(start: Start) -> None:
    server = start(script(UVICORN.replace("{application}", "application"), "uvicorn"))

    server.wait_for_hosts(1)

    server.get_process()


@pytest.mark.parametrize("wish", ["auto", "1"])
def test_an_unknown_server_hosts_only_if_told_so(wish: str, start: Start) -> None:
    server = start(script(WSGIREF), env={"HOSTING_AUTOSTART": wish, "LOG_LEVEL": "INFO"})

    for _ in range(TRIES + 2):
        server.get_process()

    if wish == "auto":
        for said in (SAID_AT_START, SAID_AT_REQUEST):
            [line] = [line for line in server.process.lines if said in line]
            assert "set HOSTING_AUTOSTART=1" in line
        assert server.facts() == []
    else:
        server.wait_for_hosts(1)


def test_a_test_client_is_no_server(start: Start) -> None:
    server = start(script(CLIENT))

    server.process.wait_for_line("^status 200")
    server.process.wait_exit()

    assert server.facts() == []
