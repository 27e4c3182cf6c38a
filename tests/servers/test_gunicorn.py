"""What is particular to gunicorn: its limit for a graceful stop, and its forks."""

from __future__ import annotations

import json

import pytest

from tests.projects import declare, entry
from tests.servers.conftest import URLS, Start
from tests.servers.launches import LAUNCHES, Launch, by_name
from tests.servers.test_every_server import assert_hosted_once

pytestmark = [pytest.mark.process, pytest.mark.servers]

GUNICORNS = [each for each in LAUNCHES if each.distribution == "gunicorn"]


@pytest.mark.parametrize("launch", GUNICORNS, ids=str)
def test_requests_and_services_end_side_by_side_within_its_limit(
    launch: Launch, start: Start
) -> None:
    # One after the other, they would take longer than the arbiter waits before it kills.
    services = declare(entry("Recorder", stop_seconds=2), settings=URLS)
    server = start(launch, "--graceful-timeout", "3", declared=services)
    pids = server.wait_for_hosts(launch.serving)
    request = server.in_background("/slow?seconds=2")
    server.process.wait_for_line("^fact request begun")

    server.process.terminate()

    assert server.process.wait_all_gone() == 0
    assert request.result() == (200, "done")
    for pid in pids:
        assert_hosted_once(server, pid)


def test_a_configuration_that_is_only_checked_hosts_nothing(start: Start) -> None:
    server = start(by_name["gunicorn, sync"], "--check-config")

    assert server.process.wait_exit() == 0
    assert server.hosts() == []


@pytest.mark.parametrize("name", ["gunicorn, sync", "gunicorn, sync, --preload"])
def test_a_child_that_a_request_forks_hosts_nothing_and_ends(name: str, start: Start) -> None:
    server = start(by_name[name])
    pids = server.wait_for_hosts(2)
    server.get_process()

    child = json.loads(server.get("/fork")[1])

    assert child["exit code"] == 0
    server.process.terminate()
    assert server.process.wait_all_gone() == 0
    assert server.hosts() == pids
    assert child["pid"] not in {fact.pid for fact in server.facts()}


@pytest.mark.parametrize(("debug", "status"), [("true", 200), ("false", 404)])
def test_the_sample_has_its_style_in_development(debug: str, status: int, start: Start) -> None:
    services = declare("Recorder")  # and the project's own URLs
    server = start(by_name["gunicorn, sync"], declared=services, env={"DEBUG": debug})
    server.wait(lambda: server.get("/")[0] == 200)

    assert server.get("/static/messages_app/page.css")[0] == status


def test_its_own_hook_is_called_as_well_in_a_preloaded_worker(start: Start) -> None:
    server = start(
        by_name["gunicorn, sync, --preload"], "--config", "python:tests.projects.gunicorn_conf"
    )

    pids = server.wait_for_hosts(2)

    server.process.wait_for_line("^fact gunicorn initialised", count=2)
    told = {fact.pid for fact in server.facts() if fact.event == "initialised"}
    assert told == set(pids)
