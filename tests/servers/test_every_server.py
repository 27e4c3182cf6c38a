"""Every server hosts: in each process that serves and no other, from its start to its end.

The numbers are those of docs/servers.md.
"""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.projects import declare, entry
from tests.servers.conftest import RECORDER, URLS, Start
from tests.servers.launches import (
    ENDS,
    GROUP,
    LAUNCHES,
    NOBODY,
    ON_SQLITE,
    REPLACED,
    TOUCH,
    WITHOUT_LIFESPAN,
    Launch,
)
from tests.servers.serving import Serving

pytestmark = [pytest.mark.process, pytest.mark.servers]

every_launch = pytest.mark.parametrize("launch", LAUNCHES, ids=str)

LIFE = ["start", "execute", "executed", "stop", "stopped", "close"]


def assert_hosted_once(server: Serving, pid: int) -> None:
    """The service has had one whole life in this process, gracefully ended."""
    events = server.events(pid)
    assert sorted(events) == sorted(LIFE), server.process.output
    assert events[-1] == "close"


@pytest.mark.parametrize("launch", [*LAUNCHES, *ON_SQLITE], ids=str)
def test_hosting(launch: Launch, start: Start) -> None:
    services = declare(
        RECORDER,
        {**entry("Crashing"), "RESTART": "never"},
        "hosting.TaskWorker",
        settings=URLS,
    )
    server = start(launch, declared=services, env=pool(launch))

    # 1, 2: in each process that serves and no other, before any request
    pids = server.wait_for_hosts(launch.serving)
    assert (server.process.pid in pids) is not launch.has_parent
    assert server.get_process()["pid"] in pids
    assert server.hosts() == pids

    # 3: each serves and works with a session of its own
    assert_sessions_are_their_own(server)
    for number in range(10):
        assert server.get(f"/enqueue?name=job-{number}")[0] == 200
    for number in range(10):
        server.process.wait_for_line(f"^fact job-{number} executed pid=")
    assert {fact.pid for fact in server.facts() if fact.event == "executed"} <= set(pids)

    # 5: a service that gave up is seen, and the process serves on
    server.wait(lambda: states(server, "Crashing") == dict.fromkeys(pids, "failed"))
    assert server.get("/")[0] == 200

    # 6: a process that is killed is replaced, and the new one hosts
    if launch.killed == REPLACED:
        os.kill(pids[0], signal.SIGKILL)
        pids = server.wait_for_hosts(launch.serving + 1)[1:]
        server.wait(lambda: server.get("/")[0] == 200)

    # 4: SIGTERM lets requests end, and stops the services
    server.may_fail = not launch.drains  # by a request that is cut off
    request = server.in_background("/slow?seconds=0.5")
    server.process.wait_for_line("^fact request begun")
    server.process.terminate()
    code = server.process.wait_all_gone()
    assert code in launch.exit_codes, server.process.output
    assert request.result() == (200, "done") or not launch.drains
    assert server.hosts()[-len(pids) :] == pids
    for pid in pids:
        assert_hosted_once(server, pid)
    assert_parent_kept_its_session(server)


def pool(launch: Launch) -> dict[str, str]:
    """Gives the project a pool of connections, where its database can have one."""
    is_postgresql = os.environ.get("DATABASE_URL", "").startswith("postgres")
    has_pool = is_postgresql and launch.pools and not launch.on_sqlite
    return {"DATABASE_POOL": "1"} if has_pool else {}


def states(server: Serving, service: str) -> dict[int, str]:
    """The state of a service in each process of the fleet, as `hosted_services` has it."""
    listed = server.project.run("hosted_services", "--format", "json", env=server.env)
    [found] = [each for each in json.loads(listed.output)["services"] if each["name"] == service]
    return {copy["pid"]: copy["state"] for copy in found["running"]}


def assert_sessions_are_their_own(server: Serving) -> None:
    """No two processes share a session with the database, nor with the one that forked them."""
    answers = [server.get_process() for _ in range(8)]
    users = {session: {server.process.pid} for session in sessions_of_parent(server)}
    for answer in answers:
        users.setdefault(str(answer["session"]), set()).add(answer["pid"])
    users.pop("None", None)  # SQLite has none
    assert all(len(pids) == 1 for pids in users.values()), users


def assert_parent_kept_its_session(server: Serving) -> None:
    """Its children have not spoken to the database in the session that they inherited."""
    told = server.events(server.process.pid, "preloaded")
    if told and server.launch.tells_at_exit:
        assert told[1:] == [f"{told[0]} still"], server.process.output


def sessions_of_parent(server: Serving) -> set[str]:
    """The sessions with the database of the process that loaded the project, and then forked."""
    return {
        fact.event.split("=")[1].split()[0]
        for fact in server.facts()
        if fact.service == "preloaded" and fact.pid == server.process.pid
    }


@pytest.mark.parametrize("launch", WITHOUT_LIFESPAN, ids=str)
def test_so_it_does_without_a_lifespan(launch: Launch, start: Start) -> None:
    server = start(launch)
    pids = server.wait_for_hosts(launch.serving)
    server.wait_for_answers()

    server.process.terminate()

    assert server.process.wait_all_gone() in launch.exit_codes
    for pid in pids:
        assert_hosted_once(server, pid)


@pytest.mark.parametrize("launch", [each for each in LAUNCHES if each.ctrl_c != NOBODY], ids=str)
def test_ctrl_c_stops_the_services(launch: Launch, start: Start) -> None:
    server = start(launch)
    pids = server.wait_for_hosts(launch.serving)
    server.wait_for_answers()

    server.may_fail = True  # by a request that is cut off
    if launch.ctrl_c == GROUP:
        server.process.interrupt()
    else:
        server.process.send(signal.SIGINT)

    server.process.wait_all_gone()
    for pid in pids:
        assert_hosted_once(server, pid)


@pytest.mark.parametrize("launch", [each for each in LAUNCHES if each.recycling], ids=str)
def test_a_worker_that_is_recycled_stops_its_services(launch: Launch, start: Start) -> None:
    server = start(launch, *launch.recycling)
    server.wait_for_hosts(launch.serving)

    # More than all workers together may answer.
    server.wait(lambda: server.get_process() and len(server.hosts()) > launch.serving)
    ended = server.wait(lambda: [pid for pid in server.hosts() if "close" in server.events(pid)])

    for pid in ended:
        assert_hosted_once(server, pid)
    server.get_process()


@pytest.mark.parametrize("launch", [each for each in LAUNCHES if each.reload], ids=str)
def test_a_reload_stops_the_services_and_starts_them_anew(launch: Launch, start: Start) -> None:
    server = start(launch)
    old = server.wait_for_hosts(launch.serving)
    server.get_process()

    if launch.reload == TOUCH:
        server.process.wait_for_line(launch.watches)
        server.watched.write_text("changed = True")
    else:
        server.process.send(signal.Signals[launch.reload])

    server.wait_for_hosts(2 * launch.serving)
    server.wait(lambda: all("close" in server.events(pid) for pid in old))
    for pid in old:
        assert_hosted_once(server, pid)
    server.wait(lambda: server.get_process()["pid"] not in old)


@every_launch
def test_switched_off_it_serves_and_hosts_nothing(launch: Launch, start: Start) -> None:
    server = start(launch, env={"HOSTING_AUTOSTART": "0"})

    server.wait_for_answers()
    server.may_fail = True  # nothing of it is ours
    request = server.in_background("/slow?seconds=0.5")
    server.process.wait_for_line("^fact request begun")
    server.process.terminate()

    server.process.wait_all_gone()
    assert request.result() == (200, "done") or not launch.drains
    assert "Recorder" not in {fact.service for fact in server.facts()}


@pytest.mark.parametrize(
    "launch", [each for each in LAUNCHES if each.killed == ENDS and each.serving > 1], ids=str
)
def test_a_server_that_ends_with_a_killed_process_stops_the_services_of_the_others(
    launch: Launch, start: Start
) -> None:
    server = start(launch)
    killed, other = server.wait_for_hosts(launch.serving)
    server.wait_for_answers()

    os.kill(killed, signal.SIGKILL)

    server.process.wait_all_gone()
    assert_hosted_once(server, other)
