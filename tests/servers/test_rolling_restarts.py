"""Workers of gunicorn are replaced again and again, while they serve and execute jobs.

`SERVERS_RESTARTS` says how often (200 by `make soak`).
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.processes import PATIENCE
from tests.projects import declare
from tests.servers.conftest import URLS, Start
from tests.servers.launches import by_name
from tests.servers.serving import Serving
from tests.servers.test_every_server import LIFE

pytestmark = [pytest.mark.process, pytest.mark.servers]

RESTARTS = int(os.environ.get("SERVERS_RESTARTS", "4"))
CLIENTS = 2

#: Sessions with the database that are not this very one's.
SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Load:
    """Clients that enqueue one job after the other, until they are told to end."""

    def __init__(self, server: Serving) -> None:
        self._server = server
        self._end = threading.Event()
        self.enqueued: list[str] = []
        self.refused = 0
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let them finish the request at hand."""
        self._end.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _run(self, client: int) -> None:
        number = 0
        while not self._end.wait(0.01):
            name = f"job-{client}-{number}"
            status, _ = self._server.get(f"/enqueue?name={name}")
            number += 1
            if status == 200:
                self.enqueued.append(name)
            else:
                self.refused += 1


@pytest.mark.timeout(RESTARTS * 10 + 120)
@pytest.mark.parametrize("name", ["gunicorn, sync", "gunicorn, gthread, --preload"])
def test_rolling_restarts_lose_no_job_and_leave_nothing_behind(name: str, start: Start) -> None:
    launch = by_name[name]
    server = start(launch, declared=declare("Recorder", "hosting.TaskWorker", settings=URLS))
    server.wait_for_hosts(2)
    server.wait_for_answers()
    at_first = count_sessions(server)
    sessions: list[int] = []
    load = Load(server)

    for restart in range(1, RESTARTS + 1):
        server.process.send(1)  # SIGHUP
        server.process.wait_for_line("^fact Recorder execute pid=", count=2 + 2 * restart)
        server.process.wait_for_line("^fact Recorder close pid=", count=2 * restart)
        sessions += count_sessions(server)
        server.wait(lambda: not zombies(server.process.pid))
    load.end()
    executed = server.wait(lambda: done(server, load))
    server.wait(lambda: count_sessions(server) <= at_first)  # lists of one

    server.process.terminate()
    assert server.process.wait_all_gone() == 0
    lives = Counter(fact.event for fact in server.facts() if fact.service == "Recorder")
    assert lives == dict.fromkeys(LIFE, 2 + 2 * RESTARTS)
    assert not executed_by_the_dead(server)
    again = sum(executed.values()) - len(executed)
    print(
        f"\n{name}: {RESTARTS} restarts, {len(load.enqueued)} jobs, 0 lost, {again} executed again,"
        f" {load.refused} requests refused, sessions {at_first} at first,"
        f" {max(sessions, default=0)} at most, {sessions[-1:]} after the last restart"
    )


def done(server: Serving, load: Load) -> Counter[str] | None:
    """How often each job was executed, once all that were enqueued have been."""
    executed = Counter(
        fact.service for fact in server.facts() if fact.event == "executed" and "job" in fact[0]
    )
    return executed if executed.keys() >= set(load.enqueued) else None


def executed_by_the_dead(server: Serving) -> list[str]:
    """The jobs that a process executed after its services had ended."""
    ended: set[int] = set()
    found = []
    for fact in server.facts():
        if (fact.service, fact.event) == ("Recorder", "close"):
            ended.add(fact.pid)
        elif (fact.service, fact.event) == ("Recorder", "start"):
            ended.discard(fact.pid)  # another process with the number of one that has ended
        elif fact.event == "executed" and fact.pid in ended and fact.service != "Recorder":
            found.append(f"{fact.service} in {fact.pid}")
    return found


def count_sessions(server: Serving) -> list[int]:
    """How many sessions the database has, as a list of one; of none on SQLite."""
    if server.project.database_url.startswith("sqlite:"):
        return []
    return [int(server.project.rows(SESSIONS)[0][0])]


def zombies(parent: int) -> list[int]:
    """The children that have ended and were not waited for."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:  # gone meanwhile
            continue
        if f"\nPPid:\t{parent}\n" in text and re.search(r"^State:\tZ", text, re.MULTILINE):
            found.append(int(status.parent.name))
    return found
