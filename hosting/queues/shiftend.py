"""The end of a worker's shift, in the time there is for it.

No more claims; jobs that have not begun are given back; those in hand get most of the time to
finish; then their tokens are cancelled, and those that end by that are handed back; a moment later
the claims that are left are released too. Such a job runs again elsewhere, and what its abandoned
thread wants to settle later is refused by the fence. Last, what is settled is announced, for as
long as there is time.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from contextlib import suppress

from hosting.cancellation import CancellationToken
from hosting.queues.backends import DatabaseBackend
from hosting.queues.joblog import log_job
from hosting.queues.outage import DATABASE_TROUBLE, PATIENCE, Outage
from hosting.queues.settling import LINGER, Settler
from hosting.queues.stoporder import MOMENT, StopOrder
from hosting.queues.stores.values import Claim
from hosting.queues.telling import tell_handed_back
from hosting.queues.wakeup import wake_all
from hosting.queues.workshop import Workshop

logger = logging.getLogger(__name__)


class ShiftEnd:
    """Ends the jobs that a shift has in hand, and leaves no claim behind.

    `woken` is set when something has happened; `give_back` gives back what has not begun.
    """

    def __init__(
        self,
        service: str,
        backend: DatabaseBackend,
        order: StopOrder,
        workshop: Workshop,
        settler: Settler,
        outage: Outage,
        woken: threading.Event,
        give_back: Callable[[], None],
    ) -> None:
        self._service = service
        self._backend = backend
        self._store = backend.store
        self._order = order
        self._workshop = workshop
        self._settler = settler
        self._outage = outage
        self._woken = woken
        self._give_back = give_back

    def work(self) -> None:
        """Do all of that; it is over when the order says so."""
        self._workshop.empty()
        self._settle_until(self._order.told)
        if self._workshop:
            self._workshop.told.cancel()
            moment = CancellationToken()
            moment.cancel_after(self._order.moment)
            self._settle_until(moment)
            self._hand_back()
        self._settler.finish(self._order.over, MOMENT)

    def _settle_until(self, until: CancellationToken) -> None:
        """Settle what ends, until no job is in hand or the token is cancelled."""
        with until.register(self._woken.set):
            while self._workshop and not until.is_cancelled:
                self._woken.clear()
                try:
                    with self._store.deadline(PATIENCE):
                        self._give_back()
                        if self._settler.pending:
                            self._settler.exchange(None)
                            self._outage.end()
                except DATABASE_TROUBLE as error:
                    until.wait(self._outage.note(error))
                else:
                    if self._workshop:
                        self._woken.wait(LINGER if self._settler.pending else None)

    def _hand_back(self) -> None:
        """Release the claims of the jobs that did not end; their threads are abandoned."""
        jobs = self._workshop.left()
        claims = [job.claim for job in jobs]
        while claims:
            try:
                with self._store.deadline(PATIENCE):
                    done = self._store.release(claims, begun=True)
            except DATABASE_TROUBLE as error:
                if self._order.allows(self._outage.note(error)):
                    continue
                self._log_each(logging.ERROR, claims, "did not end, and could not be handed back")
            else:
                ended = [claim for claim in claims if claim.id in done.cancelled]
                left = [each for each in claims if each.id not in done.refused | done.cancelled]
                tell_handed_back(self._backend, self._service, jobs, done)
                self._log_each(logging.WARNING, ended, "did not end, though it was cancelled")
                self._log_each(logging.WARNING, left, "did not end, and was handed back")
                with suppress(*DATABASE_TROUBLE), self._store.deadline(PATIENCE):
                    wake_all(self._store)
            break
        self._workshop.drop([claim.id for claim in claims])
        lost = [outcome.claim for outcome in self._settler.pending]
        what = "has ended, but its outcome is lost, as the database did not come back in time"
        self._log_each(logging.ERROR, lost, what)

    def _log_each(self, level: int, claims: Collection[Claim], what: str) -> None:
        for claim in claims:
            log_job(logger, level, self._service, claim, f" {what}")
