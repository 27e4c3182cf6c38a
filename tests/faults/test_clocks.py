"""Workers whose own clock is wrong by an hour: the database's clock is the one that counts."""

import pytest

from tests.faults.conftest import MakeFleet, Stopwatch
from tests.faults.fleet import Fleet, report
from tests.faults.scale import DEAD_SOON, LONG

pytestmark = [pytest.mark.process, pytest.mark.faults, pytest.mark.timeout(2 * LONG)]

AHEAD = {"CLOCK_SHIFT": "3600"}
BEHIND = {"CLOCK_SHIFT": "-3600"}


@pytest.mark.parametrize("shift", [AHEAD, BEHIND], ids=["ahead", "behind"])
def test_a_job_runs_when_it_is_due(
    fleet: Fleet, shift: dict[str, str], stopwatch: Stopwatch
) -> None:
    fleet.start_one(**shift)
    fleet.enqueue("note", 20, after=2)
    fleet.wait_for_results()
    fleet.stop()
    early = fleet.number(
        "SELECT count(*) FROM faults_log JOIN hosting_jobresult AS result"
        " ON faults_log.number = CAST(replace(replace(result.args, '[', ''), ']', '') AS integer)"
        " WHERE faults_log.at < result.run_after OR result.started_at < result.run_after"
    )
    assert early == 0
    assert fleet.account().duplicates == 0
    report("clock, due", jobs=20, early=early, seconds=stopwatch())


def test_jobs_run_in_the_order_in_which_they_were_enqueued(make_fleet: MakeFleet) -> None:
    fleet = make_fleet(concurrency=1)
    for shift in (AHEAD, BEHIND, {}, AHEAD):
        fleet.enqueue("note", 20, **shift)
    fleet.start(**AHEAD)
    fleet.wait_for_results()
    fleet.stop()
    order = [
        number for (number,) in fleet.project.rows("SELECT number FROM faults_log ORDER BY seq")
    ]
    assert order == list(range(80))


def test_the_living_keep_their_jobs_and_the_dead_lose_theirs(
    make_fleet: MakeFleet, stopwatch: Stopwatch
) -> None:
    fleet = make_fleet(DEAD_AFTER=DEAD_SOON)
    living, mortal = fleet.start_one(), fleet.start_one(**BEHIND)
    fleet.enqueue("linger", 8, 2 * DEAD_SOON)
    fleet.wait_until(lambda: fleet.held(living) + fleet.held(mortal) == 8, "all have begun")
    fleet.start_one(**AHEAD)
    held = fleet.kill(mortal)
    fleet.wait_for_results()
    fleet.stop()
    account = fleet.account()
    report("clock, rescue", jobs=8, held=held, duplicates=account.duplicates, seconds=stopwatch())
    assert held == 4
    assert (account.lost, account.left, account.duplicates) == (0, 0, held)
