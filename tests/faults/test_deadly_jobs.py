"""A job that kills whoever executes it."""

import pytest

from hosting.queues.stores.duties import MAX_DEATHS
from tests.faults.conftest import MakeFleet, Stopwatch
from tests.faults.fleet import Fleet, report
from tests.faults.scale import DEAD_SOON, LONG

pytestmark = [
    pytest.mark.process,
    pytest.mark.faults,
    pytest.mark.timeout(2 * LONG),
]

INNOCENTS = 60


@pytest.mark.parametrize(
    ("deadly", "innocent"), [("die", "note"), ("die_atomically", "note_atomically")]
)
def test_a_deadly_job_is_buried_and_takes_no_other_with_it(
    make_fleet: MakeFleet, deadly: str, innocent: str, stopwatch: Stopwatch
) -> None:
    fleet = make_fleet(concurrency=2, DEAD_AFTER=DEAD_SOON)
    # Quick ones first, so that the worker claims ahead, and has innocents in hand when it dies.
    fleet.enqueue(innocent, INNOCENTS)
    fleet.enqueue(deadly, 1)
    fleet.enqueue(innocent, INNOCENTS)
    deaths = 0
    fleet.start()
    while not has_ended(fleet):
        [worker] = fleet.workers
        fleet.wait_until(
            lambda worker=worker: not worker.is_running or has_ended(fleet),
            "the worker dies, or all have ended",
        )
        if not worker.is_running:
            deaths += 1
            fleet.note_end(worker)
            assert deaths < 10, worker.output
            fleet.start()
    fleet.stop()
    account = fleet.account()
    report(
        f"deadly, {deadly}",
        jobs=account.enqueued,
        deaths=deaths,
        failed=account.failed,
        seconds=stopwatch(),
    )
    assert (account.successful, account.failed, account.left) == (2 * INNOCENTS, 1, 0)
    [(path, errors)] = fleet.project.rows(
        "SELECT task_path, errors FROM hosting_jobresult WHERE status = 'FAILED'"
    )
    assert path == f"tests.faults.tasks.{deadly}"
    assert "WorkerLost" in errors
    assert deaths == MAX_DEATHS


def has_ended(fleet: Fleet) -> bool:
    return fleet.results() == 2 * INNOCENTS + 1
