"""Workers that are killed in the middle."""

import random
import threading

import pytest

from tests.faults.conftest import MakeFleet, Stopwatch
from tests.faults.fleet import Fleet, report
from tests.faults.scale import JOBS, KILLS, LONG, ON_SQLITE, SEED, share

pytestmark = [pytest.mark.process, pytest.mark.faults, pytest.mark.timeout(2 * LONG)]

WORKERS = 3


def survive_kills(fleet: Fleet, task: str, jobs: int, kills: int, *options: str) -> int:
    """Have the jobs executed while workers are killed; how many jobs these held, in all."""
    chance = random.Random(SEED)
    fleet.start(WORKERS)
    producer = fleet.enqueueing(task, jobs, *options)
    held = 0
    for moment in sorted(chance.sample(range(jobs // 20, max(kills, jobs * 9 // 10)), kills)):
        fleet.wait_for_results(moment)
        threading.Event().wait(chance.random() / 20)
        victim = chance.choice(fleet.workers)
        fleet.wait_until(lambda victim=victim: fleet.is_present(victim), "the victim is at work")
        held += fleet.kill(victim)
        fleet.start()
    assert producer.wait_exit(LONG) == 0, producer.output
    fleet.wait_for_results()
    fleet.stop()
    return held


def test_no_job_is_lost_with_a_killed_worker(make_fleet: MakeFleet, stopwatch: Stopwatch) -> None:
    fleet = make_fleet(keeps_connections=True)
    held = survive_kills(fleet, "note", JOBS, KILLS)
    account, refused = fleet.account(), len(fleet.lines("it is not ours any more"))
    report(
        "kills",
        jobs=JOBS,
        kills=KILLS,
        lost=account.lost,
        duplicates=account.duplicates,
        held=held,
        refused=refused,
        seconds=stopwatch(),
    )
    assert (account.successful, account.left, account.lost) == (JOBS, 0, 0)
    assert account.executed == JOBS
    # What a living worker had to give up, as it was not given the time to renew its claims, it
    # says of each job.
    assert account.duplicates <= held + refused


def test_an_atomic_job_has_its_effect_once(make_fleet: MakeFleet, stopwatch: Stopwatch) -> None:
    fleet = make_fleet(keeps_connections=True)
    jobs, kills = share(0.25), max(2, KILLS // 2)
    held = survive_kills(fleet, "note_atomically", jobs, kills)
    account = fleet.account()
    report(
        "kills, atomic",
        jobs=jobs,
        kills=kills,
        lost=account.lost,
        duplicates=account.duplicates,
        held=held,
        seconds=stopwatch(),
    )
    assert (account.successful, account.left, account.lost) == (jobs, 0, 0)
    assert (account.executed, account.duplicates) == (jobs, 0)


def test_no_job_is_lost_that_was_delivered_to_a_killed_worker(
    make_fleet: MakeFleet, stopwatch: Stopwatch
) -> None:
    """Jobs that come one by one, which on PostgreSQL are claimed for a worker that rests."""
    fleet = make_fleet(keeps_connections=True)
    jobs, kills = share(0.03), max(2, KILLS // 2)
    held = survive_kills(fleet, "note", jobs, kills, "--every=0.03")
    account = fleet.account()
    delivered = fleet.number(
        "SELECT count(*) FROM hosting_jobresult WHERE claimed_at = enqueued_at"
    )
    report(
        "kills, one by one",
        jobs=jobs,
        delivered=delivered,
        kills=kills,
        lost=account.lost,
        duplicates=account.duplicates,
        held=held,
        seconds=stopwatch(),
    )
    assert (account.successful, account.left, account.lost) == (jobs, 0, 0)
    assert account.duplicates <= held
    assert ON_SQLITE or delivered > jobs // 4
