"""Many processes on one SQLite file."""

import pytest

from tests.faults.conftest import Stopwatch
from tests.faults.fleet import Fleet, report
from tests.faults.scale import LONG, ON_SQLITE, share

pytestmark = [
    pytest.mark.process,
    pytest.mark.faults,
    pytest.mark.timeout(2 * LONG),
    pytest.mark.skipif(not ON_SQLITE, reason="is about SQLite"),
]

PRODUCERS, WORKERS = 8, 4


def test_nobody_is_locked_out(fleet: Fleet, stopwatch: Stopwatch) -> None:
    each = share(0.02)
    fleet.start(WORKERS)
    producers = [
        fleet.enqueueing("note", each, f"--batch={1 if one_by_one else 50}")
        for one_by_one in [True, False] * (PRODUCERS // 2)
    ]
    for producer in producers:
        assert producer.wait_exit(LONG) == 0, producer.output
    fleet.wait_for_results()
    fleet.stop()
    account = fleet.account()
    written = [line for each in producers for line in each.lines]
    locked = [line for line in written if "locked" in line] + fleet.lines("locked")
    report(
        "one file",
        jobs=account.enqueued,
        lost=account.lost,
        duplicates=account.duplicates,
        locked=len(locked),
        seconds=stopwatch(),
    )
    assert (account.lost, account.left, account.failed) == (0, 0, 0)
    assert account.duplicates <= len(fleet.lines("it is not ours any more"))
    assert locked == []
