"""A worker that stands still for longer than its claims are good for, and comes back."""

import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Stopwatch
from tests.faults.fleet import Fleet, report
from tests.faults.scale import LONG

pytestmark = [pytest.mark.process, pytest.mark.faults, pytest.mark.timeout(2 * LONG)]

JOBS = 4


def test_a_worker_that_comes_back_from_the_dead_changes_nothing(
    fleet: Fleet, tmp_path: Path, stopwatch: Stopwatch
) -> None:
    settled_before, settled_after = tmp_path / "before", tmp_path / "after"
    zombie = fleet.start_one()
    fleet.enqueue("wait_at_gate", JOBS // 2, str(settled_before))
    fleet.enqueue("wait_at_gate", JOBS // 2, str(settled_after))
    zombie.wait_for_line("at gate .* attempt 1", count=JOBS)

    zombie.send(signal.SIGSTOP)
    heir = fleet.start_one()
    heir.wait_for_line("at gate .* attempt 2", count=JOBS)
    open_gate(settled_before, 2)
    fleet.wait_for_results(JOBS // 2)

    # Half of what the zombie wants to settle has ended meanwhile, and half still runs elsewhere.
    open_gate(settled_before, 1)
    open_gate(settled_after, 1)
    zombie.send(signal.SIGCONT)
    zombie.wait_for_line("it is not ours any more", count=JOBS)
    assert fleet.results() == JOBS // 2
    assert fleet.held(heir) == JOBS // 2
    open_gate(settled_after, 2)
    fleet.wait_for_results()
    assert executors(fleet) == {heir.pid}

    heir.terminate()
    assert heir.wait_exit() == 0, heir.output
    fleet.note_end(heir)
    fleet.enqueue("note", 100)
    fleet.wait_for_results()
    fleet.stop()
    account = fleet.account()
    assert (account.lost, account.left, account.duplicates) == (0, 0, 0)
    report("zombie", jobs=account.enqueued, refused=JOBS, lost=account.lost, seconds=stopwatch())


def open_gate(gate: Path, attempt: int) -> None:
    Path(f"{gate}.{attempt}").touch()


def executors(fleet: Fleet) -> set[int]:
    """The processes that returned something."""
    rows = fleet.project.rows("SELECT return_value FROM hosting_jobresult WHERE return_value <> ''")
    return {int(pid) for (pid,) in rows}
