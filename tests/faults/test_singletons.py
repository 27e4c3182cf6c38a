"""A fleet in which the process that holds a lease is killed, or stands still for too long.

Every process also keeps the schedules, which need no lease.
"""

import os
import random
import signal
import sqlite3
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing

import pytest

from tests.faults.conftest import MakeFleet, Stopwatch
from tests.faults.fleet import Fleet, report
from tests.faults.scale import LEASE_KILLS, LEASE_PAUSES, LEASE_TIMEOUT, LONG, ON_SQLITE, SEED
from tests.faults.services import POSTGRESQL_TABLE, SQLITE_TABLE
from tests.faults.slots import SCHEDULE, assert_a_job_for_every_slot
from tests.processes import ManagedProcess, sqlite_path

pytestmark = [
    pytest.mark.process,
    pytest.mark.faults,
    pytest.mark.timeout(2 * LONG + 20 * LEASE_KILLS),
]

PROCESSES = 6
HOLDER = {"SERVICE": "tests.faults.services.Holder", "SINGLETON": True}


class LeasedFleet:
    """Workers of which one holds the lease."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def holder(self, after: int = 0, rows: int = 1) -> tuple[ManagedProcess, int]:
        """The worker that has written so many rows under a later token than that one."""
        latest = (
            "SELECT token, pid FROM faults_holds WHERE token > %s"
            " GROUP BY token, pid HAVING count(*) >= %s"
        )
        [(token, pid)] = self.fleet.wait_until(
            lambda: self.fleet.project.rows(latest, after, rows), f"a token after {after} works"
        )
        [worker] = [worker for worker in self.fleet.workers if worker.pid == pid]
        return worker, token

    def pause(self, worker: ManagedProcess) -> None:
        """Have the worker stand still.

        In the middle of a transaction it would keep everybody from writing to SQLite, and nobody
        could take its lease over; then it goes on for a moment.
        """
        halt(worker)
        while ON_SQLITE and not can_write(self.fleet.project.database_url):
            worker.send(signal.SIGCONT)
            threading.Event().wait(0.01)
            halt(worker)

    def assert_one_at_a_time(self) -> None:
        """No token was of two processes, and none wrote after a later one."""
        rows = self.fleet.project.rows("SELECT token, pid FROM faults_holds ORDER BY seq")
        pids = defaultdict(set)
        for token, pid in rows:
            pids[token].add(pid)
        assert {token: found for token, found in pids.items() if len(found) > 1} == {}
        tokens = [token for token, _ in rows]
        assert tokens == sorted(tokens)
        assert self.fleet.lines("Holder accepted") == []


def halt(worker: ManagedProcess) -> None:
    """SIGSTOP; the worker stands still when this returns, which takes it a moment."""
    worker.send(signal.SIGSTOP)
    os.waitid(os.P_PID, worker.pid, os.WSTOPPED)


def can_write(url: str) -> bool:
    """Whether nobody has the database's write lock for long."""
    with closing(sqlite3.connect(sqlite_path(url), timeout=1)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


@pytest.fixture
def leased(make_fleet: MakeFleet) -> LeasedFleet:
    hosting = {"LEASE_TIMEOUT": LEASE_TIMEOUT, "SCHEDULE": SCHEDULE}
    fleet = make_fleet(concurrency=1, services=[HOLDER, "hosting.Scheduler"], hosting=hosting)
    fleet.project.rows(SQLITE_TABLE if ON_SQLITE else POSTGRESQL_TABLE)
    fleet.start(PROCESSES)
    for worker in fleet.workers:
        worker.wait_for_line("Hosting ")
    return LeasedFleet(fleet)


def test_another_takes_over_from_one_that_is_killed(
    leased: LeasedFleet, stopwatch: Stopwatch
) -> None:
    seconds, token, chance = [], 0, random.Random(SEED)
    for _ in range(LEASE_KILLS):
        worker, token = leased.holder(token, rows=chance.randrange(1, 50))
        leased.fleet.kill(worker)
        killed = time.monotonic()
        leased.fleet.start()
        leased.holder(token)
        seconds.append(time.monotonic() - killed)
    leased.fleet.stop()
    slots = assert_a_job_for_every_slot(leased.fleet)
    report("leases, kills", kills=LEASE_KILLS, **spread(seconds), **slots, seconds=stopwatch())
    leased.assert_one_at_a_time()
    assert max(seconds) < LEASE_TIMEOUT


def test_another_takes_over_from_one_that_stands_still_and_it_changes_nothing_afterwards(
    leased: LeasedFleet, stopwatch: Stopwatch
) -> None:
    seconds, token, pauses = [], 0, Counter[int]()
    for _ in range(LEASE_PAUSES):
        worker, token = leased.holder(token)
        leased.pause(worker)
        paused = time.monotonic()
        leased.holder(token)
        seconds.append(time.monotonic() - paused)
        worker.send(signal.SIGCONT)
        worker.wait_for_line(f"Holder refused {token}")
        pauses[worker.pid] += 1
        worker.wait_for_line("lost its lease", count=pauses[worker.pid])
    leased.fleet.stop()
    slots = assert_a_job_for_every_slot(leased.fleet)
    report("leases, pauses", pauses=LEASE_PAUSES, **spread(seconds), **slots, seconds=stopwatch())
    leased.assert_one_at_a_time()
    assert max(seconds) < LEASE_TIMEOUT


def test_one_that_ends_hands_over_within_a_second(
    leased: LeasedFleet, stopwatch: Stopwatch
) -> None:
    seconds, token = [], 0
    for _ in range(3):
        worker, token = leased.holder(token)
        worker.terminate()
        assert worker.wait_exit() == 0, worker.output
        ended = time.monotonic()
        leased.fleet.note_end(worker)
        leased.holder(token)
        seconds.append(time.monotonic() - ended)
    leased.fleet.stop()
    report("leases, hand-over", stops=3, **spread(seconds), seconds=stopwatch())
    leased.assert_one_at_a_time()
    assert max(seconds) < 1


def spread(seconds: Sequence[float]) -> dict[str, str]:
    return {
        "median": f"{statistics.median(seconds):.2f}",
        "longest": f"{max(seconds):.2f}",
    }
