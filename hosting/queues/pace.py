"""How many jobs to claim ahead, by how long they take.

Jobs of a millisecond or less are worth claiming by the hundred: a round trip to the database takes
longer than they do. Jobs that take long are claimed one for each free thread, so that others get
the rest. One slow job is enough to say that jobs are slow; it takes many quick ones to say the
opposite.
"""

from __future__ import annotations

#: Seconds of work that are claimed ahead, for each thread.
AHEAD = 0.02

#: The most jobs that one claim takes.
LARGEST = 500

#: Seconds of work for which a thread is woken.
WORTH = 0.01

#: A transaction that takes so many times its span had a job that is not short.
SLOW = 4

#: The weight of the newest measure, when it is quicker than what was known.
WEIGHT = 0.2


class Pace:
    """A measure of how long jobs take; may be shared by threads."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._seconds: float | None = None  # of a job
        self._trust = concurrency  # how many to claim at most; doubles with every claim

    @property
    def seconds(self) -> float | None:
        """How long a job takes; None as long as none has ended."""
        return self._seconds

    @property
    def is_slow(self) -> bool:
        """Whether jobs take so long that several threads are worth it."""
        return self._seconds is None or self._seconds > WORTH / 10

    def note(self, seconds: float, jobs: int) -> None:
        """Note how long so many jobs took, one after the other."""
        each = seconds / jobs
        known = self._seconds
        if known is None or each > known:
            self._seconds = each
        else:
            self._seconds = known + WEIGHT * (each - known)

    def ahead(self) -> int:
        """How many jobs are to wait in this process."""
        if self._seconds is None:
            return 0
        return int(min(2 * LARGEST, self._concurrency * AHEAD / max(self._seconds, 1e-6)))

    def wanted(self, idle: int, waiting: int) -> int:
        """How many jobs to claim, with so many idle threads and so many jobs that wait for one."""
        ahead = self.ahead()
        # Refilled at half, so that claims stay large; but whoever is idle gets something to do.
        if waiting > ahead // 2 and waiting >= idle:
            return 0
        return max(0, min(idle + ahead - waiting, LARGEST, self._trust))

    def threads(self, waiting: int) -> int:
        """How many threads so many jobs are worth: waking one takes longer than a quick job."""
        if self._seconds is None:
            return waiting
        return max(1, int(waiting * self._seconds / WORTH))

    def trust(self, limit: int, claimed: int) -> None:
        """Note what a claim gave: one that was full allows a larger one next time."""
        if claimed >= limit:
            self._trust = min(LARGEST, 2 * max(limit, self._concurrency))
        else:
            self._trust = max(self._concurrency, min(self._trust, 2 * claimed))


class Room:
    """How many short jobs to begin one transaction with; may be shared by threads.

    It doubles with each transaction that had time for all of its jobs, and shrinks to what there
    was time for in one that had not. A job that took many times the whole span was none of those
    that others may wait for: after it, each is alone at first.
    """

    def __init__(self, most: int, span: float) -> None:
        self._most = most
        self._span = span  # seconds
        self.jobs = 1

    def note(self, given: int, done: int, seconds: float) -> None:
        """Note for how many of the given jobs there was time, and how long they took."""
        if seconds > SLOW * self._span:
            self.jobs = 1
        elif seconds > self._span:
            self.jobs = max(1, min(given, done))
        else:
            self.jobs = min(self._most, max(self.jobs, 2 * done))
