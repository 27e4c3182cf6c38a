"""The service that gets leases for the services of one process, and renews them.

It has a thread and a connection of its own, so that what a service does keeps it from neither, and
gives every statement a deadline. All that it does is one small statement every now and then: for
the leases that it holds, and for those that it waits for.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
from collections.abc import Callable, Collection, Mapping

from django.db import Error

from hosting.cancellation import CancellationToken
from hosting.clock import elapsed
from hosting.ids import process_name
from hosting.leadership.lease import TAKEN, HeldLease
from hosting.leadership.table import LeaseRow, LeaseTable
from hosting.leadership.timing import Timing
from hosting.scope import Scope
from hosting.services import BackgroundService

logger = logging.getLogger(__name__)

#: Seconds between two attempts to reach a database that is away, at most.
PAUSE = 1.0

#: Seconds within which those who wait for a lease look at it once it is out of date.
SPREAD = 0.05

_numbers = itertools.count(1)


class Election(BackgroundService):
    """Holds the leases of one host; `timeout` is LEASE_TIMEOUT."""

    def __init__(self, timeout: float) -> None:
        self.timing = Timing(timeout)
        self._table = LeaseTable(f"{process_name()}/{next(_numbers)}", self.timing.renewal)
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._held: dict[str, HeldLease] = {}
        self._candidates: dict[str, _Candidate] = {}
        self._renew_at = self._look_at = 0.0
        self._is_away = False

    # For the services, on their threads

    def acquire(self, name: str, stopping: CancellationToken) -> HeldLease | None:
        """Wait until this process has the lease of this name; None if `stopping` is cancelled."""
        candidate = _Candidate(name, stopping)
        with self._lock:
            self._candidates[name] = candidate
        self._changed.set()
        candidate.answered.wait()
        with self._lock:
            self._candidates.pop(name, None)
        return candidate.lease

    def release(self, lease: HeldLease) -> None:
        """Give the lease back, so that another process has it within a second."""
        self._forget(lease)
        lease.lost.cancel()
        with Scope():
            self._try(lambda: self._table.release(lease.name, lease.token))
        self._table.close()  # on this thread, which needs it no more for a while

    def leave(self, lease: HeldLease) -> None:
        """Neither renew the lease nor give it back, as its service goes on: it runs out."""
        self._forget(lease)

    # On the thread of the election

    def execute(self, stopping: CancellationToken) -> None:
        """Renew and look until `stopping` is cancelled.

        Leases that are left then are not given back, as their services have not ended.
        """
        with stopping.register(self._changed.set):
            while not stopping.is_cancelled:
                self._changed.clear()
                self._changed.wait(self._round())

    def _round(self) -> float:
        """Do what the time has come for; seconds until there is more."""
        if self._pause() <= 0 and not self._try(self._serve):
            return min(PAUSE, self.timing.renewal)
        return self._pause()

    def _pause(self) -> float:
        """Seconds until there is something to do."""
        with self._lock:
            moments = [self._renew_at] if self._held else []
            if self._candidates:
                moments.append(0.0 if _any_new(self._candidates.values()) else self._look_at)
        return max(0.0, min(moments) - elapsed()) if moments else threading.TIMEOUT_MAX

    def _serve(self) -> None:
        with self._lock:
            held, candidates = list(self._held.values()), dict(self._candidates)
        if held and elapsed() >= self._renew_at:
            self._renew(held)
        if candidates and (_any_new(candidates.values()) or elapsed() >= self._look_at):
            self._look(candidates)

    def _renew(self, leases: Collection[HeldLease]) -> None:
        asked = elapsed()
        held = [lease for lease in leases if not lease.lost.is_cancelled]
        gone = self._table.renew({lease.name: lease.token for lease in held}, self.timing.duration)
        for lease in leases:
            if lease.name in gone:
                lease.lose(TAKEN)
            lease.extend(asked + self.timing.held)
            if not lease.is_held:  # its time may have ended while the answer was under way
                self._forget(lease)
        self._renew_at = asked + self.timing.renewal

    def _look(self, candidates: Mapping[str, _Candidate]) -> None:
        rows, standing_by = self._table.look(list(candidates))
        pauses = [self.timing.look(standing_by)]
        for row in rows:
            candidate = candidates[row.name]
            candidate.is_new = False
            # One that is our own was got without our knowledge, or could not be given back.
            if row.left > 0 and row.holder != self._table.holder:
                candidate.stand_by(row)
                pauses.append(row.left + SPREAD * random.random())
            else:
                self._take(candidate)
        self._look_at = elapsed() + min(pauses)

    def _take(self, candidate: _Candidate) -> None:
        asked = elapsed()
        token = self._table.acquire(candidate.name, self.timing.duration)
        if token is None:
            return
        lease = HeldLease(self._table, candidate.name, token, asked + self.timing.held)
        with self._lock:
            is_wanted = self._candidates.get(candidate.name) is candidate
            if is_wanted:
                renew_at = asked + self.timing.renewal
                self._renew_at = min(self._renew_at, renew_at) if self._held else renew_at
                self._held[candidate.name] = lease
                candidate.answer(lease)
        if not is_wanted:
            self.release(lease)

    def _forget(self, lease: HeldLease) -> None:
        with self._lock:
            if self._held.get(lease.name) is lease:
                del self._held[lease.name]

    def _try(self, action: Callable[[], None]) -> bool:
        """Do it within a deadline; False, and told once, if the database is away."""
        try:
            with self._table.deadline(self.timing.renewal):
                action()
        except Error as error:
            self._table.close()
            if not self._is_away:
                logger.warning(
                    "The leases cannot be reached (is hosting migrated?): %s",
                    str(error).strip(),
                    extra={"service": self.name},
                )
            self._is_away = True
            return False
        if self._is_away:
            logger.warning("The leases can be reached again", extra={"service": self.name})
        self._is_away = False
        return True


class _Candidate:
    """A service that waits for its lease."""

    def __init__(self, name: str, stopping: CancellationToken) -> None:
        self.name = name
        self.is_new = True  # nobody has looked yet
        self.lease: HeldLease | None = None
        self.answered = CancellationToken(stopping)
        self._holder = ""

    def answer(self, lease: HeldLease) -> None:
        """Say that it waits no more."""
        self.lease = lease
        self.answered.cancel()

    def stand_by(self, row: LeaseRow) -> None:
        """Say who has the lease, once for each."""
        if row.holder != self._holder:
            self._holder = row.holder
            logger.info(
                "Service %r stands by: %s has its lease",
                self.name,
                row.holder.partition("/")[0],
                extra={"service": self.name},
            )


def _any_new(candidates: Collection[_Candidate]) -> bool:
    return any(candidate.is_new for candidate in candidates)
