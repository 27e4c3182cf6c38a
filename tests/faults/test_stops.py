"""Workers that are told to stop while they have jobs in hand."""

import pytest

from tests.faults.conftest import MakeFleet, Stopwatch
from tests.faults.fleet import report
from tests.faults.scale import DEAD_SOON, LONG

pytestmark = [pytest.mark.process, pytest.mark.faults, pytest.mark.timeout(2 * LONG)]

JOBS = 4


@pytest.mark.parametrize("concurrently", [False, True], ids=["one by one", "all at once"])
def test_nobody_takes_the_jobs_of_a_worker_that_stops(
    make_fleet: MakeFleet, concurrently: bool, stopwatch: Stopwatch
) -> None:
    fleet = make_fleet(
        hosting={"STOP_CONCURRENTLY": concurrently, "SHUTDOWN_TIMEOUT": 10 * DEAD_SOON},
        DEAD_AFTER=DEAD_SOON,
    )
    leaving = fleet.start_one()
    fleet.enqueue("linger_to_the_end", JOBS, 2 * DEAD_SOON)
    fleet.wait_until(lambda: fleet.number("SELECT count(*) FROM faults_log") == JOBS, "all began")
    fleet.start_one()
    leaving.terminate()
    fleet.wait_for_results()
    assert leaving.wait_exit() == 0, leaving.output
    fleet.note_end(leaving)
    fleet.stop()
    account = fleet.account()
    report("stop", jobs=JOBS, duplicates=account.duplicates, seconds=stopwatch())
    assert (account.lost, account.left, account.duplicates) == (0, 0, 0)
