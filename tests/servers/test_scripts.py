"""Servers that a script of the project starts: known by the first request or by the lifespan."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.servers.conftest import Start
from tests.servers.launches import ASGI, Launch, uvicorn

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

SAID_ONCE = "Not hosting: '-c' is not known to serve requests"
NO_LIFESPAN = "uvicorn ends its processes without waiting"


def script(text: str, needs: str = "django") -> Launch:
    return Launch("a script", needs, (sys.executable, "-c", text), serving=1, has_parent=False)


def test_waitress_is_known_by_the_first_request(start: Start) -> None:
    server = start(script(WAITRESS, "waitress"), env={"LOG_LEVEL": "INFO"})

    pid = server.get_process()["pid"]

    assert server.wait_for_hosts(1) == [pid] == [server.process.pid]


def test_a_child_forked_from_a_process_that_began_later_hosts_nothing(start: Start) -> None:
    server = start(script(WAITRESS, "waitress"))
    server.get_process()
    server.wait_for_hosts(1)

    child = json.loads(server.get("/fork")[1])

    assert child["exit code"] == 0
    server.process.terminate()
    server.process.wait_all_gone()
    assert server.hosts() == [server.process.pid]


def test_so_is_an_asgi_server_whose_lifespan_is_not_answered(start: Start) -> None:
    server = start(script(UVICORN.replace("{application}", "without_lifespan"), "uvicorn"))

    server.get_process()

    server.wait_for_hosts(1)
    server.process.wait_for_line(NO_LIFESPAN)


def test_the_lifespan_tells_before_any_request(start: Start) -> None:
    server = start(script(UVICORN.replace("{application}", "application"), "uvicorn"))

    server.wait_for_hosts(1)

    server.get_process()
    assert NO_LIFESPAN not in server.process.output


@pytest.mark.parametrize("wish", ["auto", "1"])
def test_an_unknown_server_hosts_only_if_told_so(wish: str, start: Start) -> None:
    server = start(script(WSGIREF), env={"HOSTING_AUTOSTART": wish, "LOG_LEVEL": "INFO"})

    for _ in range(2):
        server.get_process()

    if wish == "auto":
        assert server.process.output.count(SAID_ONCE) == 1
        assert "set HOSTING_AUTOSTART=1" in server.process.output
        assert server.facts() == []
    else:
        server.wait_for_hosts(1)


def test_a_test_client_is_no_server(start: Start) -> None:
    server = start(script(CLIENT))

    server.process.wait_for_line("^status 200")
    server.process.wait_exit()

    assert server.facts() == []


@pytest.mark.skipif(not find_spec("uvicorn"), reason="uvicorn is not installed")
def test_uvicorns_workers_that_do_not_answer_the_lifespan_say_so(
    start: Start, tmp_path: Path
) -> None:
    plain = ASGI.replace("application", "without_lifespan")
    server = start(uvicorn(" --workers, no lifespan", "--workers", "2", application=plain))

    server.wait_for_hosts(2)
    server.wait_for_answers()

    server.process.wait_for_line(NO_LIFESPAN, count=2)
