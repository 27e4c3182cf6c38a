"""Processes around a server that look like one that serves, and are none."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.servers.conftest import Start
from tests.servers.launches import by_name

pytestmark = [pytest.mark.process, pytest.mark.servers]


def test_greenlets_in_the_place_of_threads_are_refused_and_requests_served(start: Start) -> None:
    pytest.importorskip("gevent")
    server = start(
        by_name["gunicorn, sync"],
        *("--worker-class", "gevent"),
        env={"HOSTING_AUTOSTART": "1", "LOG_LEVEL": "WARNING"},
    )

    server.get_process()

    server.process.wait_for_line("Not hosting in process .*: threads are greenlets here")
    server.process.terminate()
    assert server.process.wait_all_gone() == 0
    assert server.facts() == []


def test_an_arbiter_that_sets_up_django_in_its_hook_hosts_nothing(start: Start) -> None:
    server = start(
        by_name["gunicorn, sync"], "--config", "python:tests.projects.gunicorn_conf_setup"
    )

    pids = server.wait_for_hosts(2)

    server.get_process()
    server.process.terminate()
    assert server.process.wait_all_gone() == 0
    assert server.process.pid not in pids
    assert server.hosts() == pids


@pytest.mark.parametrize("wish", ["auto", "1"])
@pytest.mark.parametrize("name", ["runserver", "runserver --noreload", "gunicorn, sync"])
def test_a_helper_that_a_request_spawns_hosts_nothing(name: str, wish: str, start: Start) -> None:
    launch = by_name[name]
    server = start(launch, env={"HOSTING_AUTOSTART": wish})
    pids = server.wait_for_hosts(launch.serving)
    server.get_process()

    status, body = server.get("/spawn")

    assert (status, json.loads(body)) == (200, {"hosts": False})
    server.process.terminate()
    server.process.wait_all_gone()
    assert server.hosts() == pids


def test_a_database_whose_driver_is_missing_keeps_no_preloaded_worker_from_serving(
    start: Start,
) -> None:
    server = start(by_name["gunicorn, sync, --preload"], env={"MISSING_DRIVER": "1"})

    server.wait_for_hosts(2)

    server.get_process()


def test_uwsgis_own_decorators_may_come_after(start: Start) -> None:
    launch = by_name["uWSGI, prefork"]
    decorated = replace(
        launch, command=(*launch.command[:-1], "tests.projects.decorated:application")
    )
    server = start(decorated)

    server.wait_for_hosts(2)

    server.process.wait_for_line("^fact decorated forked", count=2)
