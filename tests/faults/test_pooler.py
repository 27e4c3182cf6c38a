"""Workers behind PgBouncer, which gives each transaction another connection."""

import pytest

from tests.faults.fleet import Fleet, report
from tests.faults.pooler import PROGRAM, Pooler
from tests.faults.scale import LONG, ON_SQLITE, share
from tests.faults.server import Server
from tests.processes import OBSERVER, Project

pytestmark = [
    pytest.mark.process,
    pytest.mark.faults,
    pytest.mark.timeout(2 * LONG),
    pytest.mark.skipif(ON_SQLITE, reason="is about PostgreSQL"),
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed"),
]

#: Fewer than the threads of the workers, so that they have to share them.
CONNECTIONS = 4


def test_workers_share_few_connections(own_server: Server, own_project: Project) -> None:
    fleet, jobs = Fleet(own_project, LISTEN=False, MAX_ATTEMPTS=100), share(0.15)
    with Pooler(own_server.port, CONNECTIONS) as pooler:
        behind = own_project.database_url.replace(f":{own_server.port}/", f":{pooler.port}/")
        behind += "?conn_max_age=60&disable_server_side_cursors=true"
        fleet.start(2, DATABASE_URL=behind)
        fleet.enqueue("note", jobs, DATABASE_URL=behind)
        fleet.enqueue("note_atomically", jobs, DATABASE_URL=behind)
        fleet.enqueue("note", jobs, after=0.5, DATABASE_URL=behind)
        fleet.wait_for_results(jobs)
        most = connections(fleet)
        pooler.stop()
        fleet.wait_for_output("cannot use the database")
        pooler.start()
        fleet.wait_for_results()
        most = max(most, connections(fleet))
        assert all(worker.is_running for worker in fleet.workers)
        fleet.stop()
    account = fleet.account()
    report("pooler", jobs=3 * jobs, lost=account.lost, duplicates=account.duplicates, most=most)
    assert (account.lost, account.left, account.executed) == (0, 0, 3 * jobs)
    assert 0 < most <= CONNECTIONS
    effects = "SELECT count(*) FROM faults_log WHERE number >= %s AND number < %s"
    assert fleet.number(effects, jobs, 2 * jobs) == jobs  # of the atomic ones, once each


def test_who_forgets_to_say_so_is_slower_and_loses_nothing(
    own_server: Server, own_project: Project
) -> None:
    """With LISTEN as it comes: what is sent to a session of the pooler reaches nobody."""
    fleet, jobs = Fleet(own_project), 20
    with Pooler(own_server.port, CONNECTIONS) as pooler:
        behind = own_project.database_url.replace(f":{own_server.port}/", f":{pooler.port}/")
        behind += "?disable_server_side_cursors=true"
        fleet.start_one(DATABASE_URL=behind)
        fleet.wait_for_output("Hosting ")
        process = fleet.enqueueing("note", jobs, "--every=0.05", DATABASE_URL=behind)
        fleet.wait_for_results()
        assert process.wait_exit(LONG) == 0, process.output
        fleet.stop()
    account = fleet.account()
    assert (account.lost, account.left, account.duplicates) == (0, 0, 0)


def connections(fleet: Fleet) -> int:
    """How many connections there are to the fleet's database beside those of the tests."""
    return fleet.number(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND datname = current_database() AND application_name <> %s",
        OBSERVER,
    )
