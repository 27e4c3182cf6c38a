"""A job that kills whoever executes it."""

import pytest

from tests.faults.capabilities import counts_deaths
from tests.faults.conftest import MakeFleet, Stopwatch
from tests.faults.fleet import report
from tests.faults.scale import LONG

pytestmark = [
    pytest.mark.process,
    pytest.mark.faults,
    pytest.mark.timeout(2 * LONG),
    pytest.mark.skipif(not counts_deaths(), reason="workers do not say yet which jobs they begin"),
]

INNOCENTS = 60


def test_a_deadly_job_is_buried_and_takes_no_other_with_it(
    make_fleet: MakeFleet, stopwatch: Stopwatch
) -> None:
    fleet = make_fleet(concurrency=2)
    # Quick ones first, so that the worker claims ahead, and has innocents in hand when it dies.
    fleet.enqueue("note", INNOCENTS)
    fleet.enqueue("die", 1)
    fleet.enqueue("note", INNOCENTS)
    deaths = 0
    fleet.start()
    while fleet.results() < 2 * INNOCENTS + 1:
        [worker] = fleet.workers
        fleet.wait_until(
            lambda worker=worker: not worker.is_running or fleet.results() == 2 * INNOCENTS + 1,
            "the worker dies, or all have ended",
        )
        if not worker.is_running:
            deaths += 1
            fleet.note_end(worker)
            assert deaths < 10, worker.output
            fleet.start()
    fleet.stop()
    account = fleet.account()
    report("deadly", jobs=account.enqueued, deaths=deaths, lost=account.lost, seconds=stopwatch())
    assert (account.successful, account.failed, account.left) == (2 * INNOCENTS, 1, 0)
    [(path, errors)] = fleet.project.rows(
        "SELECT task_path, errors FROM hosting_jobresult WHERE status = 'FAILED'"
    )
    assert path == "tests.faults.tasks.die"
    assert "WorkerLost" in errors
    assert deaths == fleet.number("SELECT count(*) FROM faults_log WHERE number = %s", INNOCENTS)
