"""A singleton on hosts that lose each other, or the database."""

import time
from itertools import pairwise

import pytest

from tests.faults.conftest import Stopwatch
from tests.faults.fleet import report
from tests.faults.network import ServerOnHost
from tests.faults.scale import LEASE_TIMEOUT, LONG, LOSSES, ON_SQLITE, share
from tests.faults.slots import assert_a_job_for_every_slot
from tests.faults.team import Run, Team

pytestmark = [
    pytest.mark.process,
    pytest.mark.faults,
    pytest.mark.timeout(2 * LONG),
    pytest.mark.skipif(ON_SQLITE, reason="is about PostgreSQL"),
]

JOBS = share(0.05)  # beside those of the singleton

#: Which it writes until the next fault.
ROWS = 10


def test_another_host_takes_over_from_one_that_is_cut_off(team: Team, stopwatch: Stopwatch) -> None:
    took, gaps = [], []
    for _ in range(LOSSES):
        producer = team.fleet.enqueueing("note", JOBS, "--batch=1")
        old = team.wait_until_one_runs()
        team.fleet.wait_for_results(team.fleet.results() + JOBS // 10)
        host = team.host_of(old.worker)
        host.cut_off()
        cut = time.monotonic()
        new = team.wait_for_token(old.token)
        took.append(new.began - cut)
        gaps.append(new.began - team.wait_for_end(old).ended)
        team.wait_for_rows(ROWS)
        host.connect()
        team.wait_until_one_runs()
        assert producer.wait_exit() == 0, producer.output
    # Whoever was cut off stands by with the same process as before, and takes over.
    others = sorted(set(team.fleet.workers) - {old.worker}, key=lambda each: each is new.worker)
    for worker in others:
        worker.terminate()
        assert worker.wait_exit() == 0, worker.output
        team.fleet.note_end(worker)
    last = team.wait_until_one_runs()
    assert last.worker == old.worker
    assert last.token > new.token

    assert_nothing_is_done_twice("cut off", team, stopwatch, took=took, gaps=gaps)
    assert max(took) <= LEASE_TIMEOUT
    assert min(gaps) > 0


def test_the_fleet_outlives_a_restart_of_the_database(
    team: Team, server_on_host: ServerOnHost, stopwatch: Stopwatch
) -> None:
    took, gaps = [], []
    for _ in range(LOSSES):
        team.wait_until_one_runs()
        team.fleet.enqueue("note", JOBS)
        server_on_host.stop()
        server_on_host.start()  # before the lease is out of date, so that it may be kept

        team.wait_for_rows(ROWS)
        old = team.wait_until_one_runs()
        server_on_host.stop()
        ended = team.wait_for_end(old).ended
        old.worker.wait_for_line(rf"'Term' has lost its lease \(token {old.token}\)")
        server_on_host.start()
        began = time.monotonic()
        new = team.wait_for_token(old.token)
        took.append(new.began - began)
        gaps.append(new.began - ended)
        team.wait_for_rows(ROWS)
    team.wait_until_one_runs()
    assert all(worker.is_running for worker in team.fleet.workers)

    assert_nothing_is_done_twice("restart", team, stopwatch, took=took, gaps=gaps)
    assert max(took) <= LEASE_TIMEOUT


def assert_nothing_is_done_twice(
    scenario: str, team: Team, stopwatch: Stopwatch, **seconds: list[float]
) -> None:
    """Stop the team; it had one holder at a time, which enqueued one job with each row."""
    team.wait_until_all_caught_up()
    team.fleet.stop()
    runs, account, twice = team.runs(), team.account(), team.enqueued_twice()
    slots = assert_a_job_for_every_slot(team.fleet)
    report(
        scenario,
        runs=len(runs),
        tokens=len(team.tokens()),
        **{name: " ".join(f"{each:.2f}" for each in given) for name, given in seconds.items()},
        jobs=account.enqueued,
        twice=twice,
        **slots,
        left=account.left,
        duplicates=account.duplicates,
        seconds=stopwatch(),
    )
    assert_one_holder_at_a_time(runs)
    assert team.disorder() == 0
    # What was enqueued while the team stopped is left for the next.
    assert account.enqueued == account.successful + account.left
    assert (account.failed, twice) == (0, 0)


def assert_one_holder_at_a_time(runs: list[Run]) -> None:
    for one, next_one in pairwise(runs):
        assert one.ended < next_one.began
        assert one.token <= next_one.token
        assert one.worker == next_one.worker or one.token < next_one.token
