"""Connections to PostgreSQL that are cut, or fall silent."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.conftest import MakeFleet, Stopwatch
from tests.faults.fleet import Fleet, report
from tests.faults.proxy import Proxy
from tests.faults.scale import DEAD_AFTER, KILLS, LONG, ON_SQLITE, SEED, share
from tests.faults.server import Server
from tests.processes import Project

pytestmark = [
    pytest.mark.process,
    pytest.mark.faults,
    pytest.mark.timeout(2 * LONG),
    pytest.mark.skipif(ON_SQLITE, reason="is about PostgreSQL"),
]

#: A job whose own connection breaks has failed once, which is its own matter.
OFTEN = {"MAX_ATTEMPTS": 100}


def test_all_connections_are_terminated(make_fleet: MakeFleet, stopwatch: Stopwatch) -> None:
    fleet, jobs, times = make_fleet(**OFTEN), share(0.25), max(4, KILLS // 2)
    chance, cut = random.Random(SEED), 0
    fleet.start(2)
    fleet.enqueue("note", jobs)
    for moment in sorted(chance.sample(range(1, jobs * 9 // 10), times)):
        fleet.wait_for_results(moment)
        cut += terminate_all(fleet)
    fleet.wait_for_results()
    assert all(worker.is_running for worker in fleet.workers)
    fleet.stop()
    account = fleet.account()
    report(
        "terminated",
        jobs=jobs,
        times=times,
        connections=cut,
        lost=account.lost,
        duplicates=account.duplicates,
        seconds=stopwatch(),
    )
    assert cut >= times
    assert (account.lost, account.left, account.executed) == (0, 0, jobs)


def terminate_all(fleet: Fleet) -> int:
    """End every connection to the fleet's database but the one that asks."""
    return fleet.number(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_the_server_crashes_and_comes_back(
    own_server: Server, own_project: Project, stopwatch: Stopwatch
) -> None:
    fleet, jobs = Fleet(own_project, **OFTEN), share(0.25)
    fleet.start(2)
    fleet.enqueue("note", jobs)
    for moment in (jobs // 4, jobs // 2):
        fleet.wait_for_results(moment)
        own_server.stop()
        fleet.wait_for_output("cannot use the database")
        own_server.start()
    fleet.wait_for_results()
    assert all(worker.is_running for worker in fleet.workers)
    fleet.stop()
    account = fleet.account()
    report(
        "crash of the server",
        jobs=jobs,
        lost=account.lost,
        duplicates=account.duplicates,
        seconds=stopwatch(),
    )
    assert (account.lost, account.left, account.executed) == (0, 0, jobs)


def test_a_connection_falls_silent(
    own_server: Server, own_project: Project, tmp_path: Path, stopwatch: Stopwatch
) -> None:
    fleet, gate, jobs = Fleet(own_project), tmp_path / "gate", 4
    with Proxy(own_server.port) as proxy:
        behind = own_project.database_url.replace(f":{own_server.port}/", f":{proxy.port}/")
        cut_off = fleet.start_one(DATABASE_URL=behind, PATIENCE="2")
        fleet.enqueue("wait_at_gate", jobs, str(gate))
        cut_off.wait_for_line("at gate .* attempt 1", count=jobs)
        other = fleet.start_one()

        proxy.fall_silent()
        began = time.monotonic()
        cut_off.wait_for_line("cannot renew its claims")
        noticed = time.monotonic() - began
        Path(f"{gate}.1").touch()
        other.wait_for_line("at gate .* attempt 2", count=jobs)
        cut_off.wait_for_line("cannot use the database")
        Path(f"{gate}.2").touch()
        fleet.wait_for_results()

        proxy.speak_again()
        cut_off.wait_for_line("can renew its claims in the database 'default' again")
        cut_off.wait_for_line("it is not ours any more", count=jobs)
        other.terminate()
        assert other.wait_exit() == 0, other.output
        fleet.note_end(other)
        fleet.enqueue("note", 100)
        fleet.wait_for_results()
        fleet.stop()
    account = fleet.account()
    report(
        "silence",
        jobs=account.enqueued,
        noticed=f"{noticed:.1f}",
        lost=account.lost,
        seconds=stopwatch(),
    )
    assert (account.lost, account.left, account.executed) == (0, 0, 100)
    # A sixth of that time until it asks, and as much, or the 2 s of the driver, until it gives up.
    assert noticed < DEAD_AFTER + 2


def test_a_connection_falls_silent_in_a_transaction(
    own_server: Server, own_project: Project, tmp_path: Path, stopwatch: Stopwatch
) -> None:
    """Whoever waits for the answer to its commit gives up, and another does the work."""
    fleet, gate, jobs = Fleet(own_project), tmp_path / "gate", 4  # all threads
    with Proxy(own_server.port) as proxy:
        behind = own_project.database_url.replace(f":{own_server.port}/", f":{proxy.port}/")
        cut_off = fleet.start_one(DATABASE_URL=behind, PATIENCE="2")
        fleet.enqueue("note_atomically_at_gate", jobs, str(gate))
        cut_off.wait_for_line("at gate .* attempt 1", count=jobs)

        proxy.fall_silent()
        Path(f"{gate}.1").touch()
        cut_off.wait_for_line("cannot use the database")
        other = fleet.start_one()
        Path(f"{gate}.2").touch()
        fleet.wait_for_results()

        proxy.speak_again()
        cut_off.wait_for_line("can use the database .* again")
        other.terminate()
        assert other.wait_exit() == 0, other.output
        fleet.note_end(other)
        fleet.enqueue("note_atomically", 20)  # for which the threads of the other are needed
        fleet.wait_for_results()
        fleet.stop()
    account = fleet.account()
    report("silence in a transaction", jobs=account.enqueued, seconds=stopwatch())
    assert (account.lost, account.left, account.executed) == (0, 0, jobs + 20)
    assert account.duplicates == 0


def test_a_pooler_that_lends_connections_for_a_transaction(make_fleet: MakeFleet) -> None:
    fleet, jobs = make_fleet(LISTEN=False), share(0.05)
    worker = fleet.start_one()
    for _ in range(3):
        fleet.enqueue("note", jobs)
        fleet.wait_for_results()
        assert sessions(fleet, worker.pid) == (0, 0, 0)
    fleet.stop()
    account = fleet.account()
    assert (account.lost, account.left, account.duplicates) == (0, 0, 0)


def test_a_worker_listens_where_it_may(fleet: Fleet) -> None:
    worker = fleet.start_one()
    fleet.wait_until(lambda: sessions(fleet, worker.pid)[0] == 1, "the worker listens")
    fleet.stop()


def sessions(fleet: Fleet, pid: int) -> tuple[int, int, int]:
    """What a pooler could not lend: who listens, who waits to be told, locks of a session."""
    return (
        fleet.number(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query ~ %s AND pid <> pg_backend_pid()",
            "^LISTEN |_advisory_lock",
        ),
        fleet.number(
            "SELECT count(*) FROM hosting_hostprocess WHERE is_listening AND pid = %s", pid
        ),
        fleet.number(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
            " WHERE locktype = %s AND datname = current_database()",
            "advisory",
        ),
    )
