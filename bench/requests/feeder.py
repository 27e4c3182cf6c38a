"""A process that keeps jobs waiting until its input ends, and ends itself when none are left.

It writes a line when the first job is executed. It is run by `bench.requests.sites`, which passes
the place on.
"""

from __future__ import annotations

import select
import sys

from bench import work
from bench.peers.ours import Peer
from bench.waiting import wait_until

#: Jobs that wait, at least, while jobs are executed.
WAITING = 200
#: Seconds between two looks at how many wait, which asks no database.
INTERVAL = 0.01
#: Seconds in which the first job has to begin, and all have to end.
PATIENCE = 60


def main() -> None:
    peer, before = Peer(), work.tally.started
    added = before
    while not select.select([sys.stdin], [], [], INTERVAL)[0]:
        if added - work.tally.started < WAITING:
            peer.enqueue(work.INSERT, [()] * WAITING)
            added += WAITING
            if added == before + WAITING:
                wait_until(lambda: work.tally.started > before, "a job begins", PATIENCE)
                print("jobs are executed", flush=True)
    wait_until(lambda: not peer.unsettled(), "all jobs have ended", PATIENCE)


if __name__ == "__main__":
    main()
