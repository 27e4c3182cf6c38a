"""From outcomes to rows: stores what has ended, in batches, and claims the next jobs on the way.

An outcome that the database does not take (a return value too long for it, say) fails its own job
and no other. While the database is away outcomes wait here; nothing more is claimed. When it is
back, an outcome that is refused may have been stored by a statement whose answer was lost, which
the results tell.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from hosting.cancellation import CancellationToken
from hosting.compat import task_finished
from hosting.context import working_on
from hosting.queues.announcer import Announcer
from hosting.queues.backends import DatabaseBackend
from hosting.queues.joblog import log_job
from hosting.queues.listeners import has_listeners
from hosting.queues.outage import DATABASE_TROUBLE
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.stores.base import Store
from hosting.queues.stores.results import to_result
from hosting.queues.stores.values import Claim, Exchange, Settlement, Wanted
from hosting.queues.telling import tell_settled
from hosting.signals import round_trip_finished

logger = logging.getLogger(__name__)

#: Outcomes that are stored without waiting for more.
LARGE = 100

#: Seconds after which few outcomes are stored too.
LINGER = 0.012


@dataclass(slots=True)
class Tally:
    """What a worker has done so far; attempts, not jobs."""

    executed: int = 0
    failed: int = 0
    told: Callable[[], object] = lambda: None  # called when some more have been executed


class Settler:
    """Stores outcomes for one worker; all but `pending` is for the worker's own thread."""

    def __init__(
        self,
        service: str,
        backend: DatabaseBackend,
        tally: Tally,
        settled: Callable[[Sequence[Outcome]], None],
        announcer: Announcer | None = None,
    ) -> None:
        self._service = service
        self._backend = backend
        self._store: Store = backend.store
        self._tally = tally
        self._settled = settled
        self._announcer = announcer or Announcer(f"hosting:{service}:announce")
        self._in_doubt = False
        self._pending_since: float | None = None
        self.pending: deque[Outcome] = deque()

    def linger(self) -> float:
        """Seconds until what is pending is to be stored, though it is little."""
        if len(self.pending) >= LARGE:
            return 0.0
        now = time.monotonic()
        if self._pending_since is None:
            self._pending_since = now
        return self._pending_since + LINGER - now

    @property
    def is_behind(self) -> bool:
        """Whether nothing more should be claimed."""
        return len(self.pending) > 10 * LARGE or self._announcer.is_behind

    def exchange(self, wanted: Wanted | None) -> Sequence[Claim]:
        """Store what is pending, and claim what is wanted; raises what a database in trouble does.

        What could not be stored stays pending.
        """
        self._pending_since = None
        batch = [self.pending.popleft() for _ in range(len(self.pending))]
        if settled := [each for each in batch if each.is_settled]:  # in their own transaction
            self._follow_up(settled, frozenset())
            batch = [each for each in batch if not each.is_settled]
        try:
            claims = self._exchange(batch, wanted)
        except DATABASE_TROUBLE:
            self._in_doubt = True
            self.pending.extendleft(reversed([each for each in batch if not each.is_settled]))
            raise
        self._in_doubt = False
        return claims

    def finish(self, until: CancellationToken, at_least: float) -> None:
        """Wait until what is settled is announced, or the token is cancelled; so long at least."""
        self._announcer.finish(until, at_least)

    def close(self) -> None:
        """Settle no more."""
        self._announcer.close()

    def _exchange(self, batch: Sequence[Outcome], wanted: Wanted | None) -> Sequence[Claim]:
        self._release([each for each in batch if each.ending is Ending.RELEASED])
        ended = [each for each in batch if each.ending is not Ending.RELEASED]
        try:
            done = self._ask([each.settlement for each in ended], wanted)
        except DATABASE_TROUBLE:
            raise
        except Exception:
            if not ended:
                raise
            self._settle_singly(ended)
            return ()
        self._note(ended, done)
        return done.claims

    def _ask(self, settlements: Sequence[Settlement], wanted: Wanted | None) -> Exchange:
        if not round_trip_finished.receivers:
            return self._store.exchange(settlements, wanted)
        began = time.monotonic()
        done = self._store.exchange(settlements, wanted)
        round_trip_finished.send_robust(
            type(self._store),
            service=self._service,
            seconds=time.monotonic() - began,
            settled=len(settlements),
            claimed=len(done.claims),
        )
        return done

    def _settle_singly(self, outcomes: Sequence[Outcome]) -> None:
        """Find out whose fault it is that a batch is not taken: it may be that of the claim."""
        for outcome in outcomes:
            try:
                done = self._store.settle([outcome.settlement])
            except DATABASE_TROUBLE:
                raise
            except Exception as error:
                outcome = outcome.failed(error)
                done = self._store.settle([outcome.settlement])
            self._note([outcome], done)

    def _release(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            claims = [each.claim for each in outcomes]
            self._note(outcomes, self._store.release(claims, begun=True))

    # What follows

    def _note(self, outcomes: Sequence[Outcome], done: Exchange) -> None:
        refused = self._surely_refused(outcomes, done) if done.refused else frozenset()
        for outcome in outcomes:
            outcome.note(done)
        self._follow_up(outcomes, refused)

    def _follow_up(self, outcomes: Sequence[Outcome], refused: Collection[Any]) -> None:
        self._settled(outcomes)
        tell_settled(self._backend, self._service, outcomes, refused)
        hears_success = has_listeners(task_finished)
        for outcome in outcomes:
            if outcome.claim.id in refused:
                self._log(logging.WARNING, outcome, "it is not ours any more: %s", outcome.ending)
            elif outcome.is_cancelled:
                what = "it was cancelled, and does not run again"
                self._log(logging.WARNING, outcome, what)
                self._announce(outcome.cancelled(), hears_success)
            else:
                self._announce(outcome, hears_success)
        self._tally.told()

    def _surely_refused(self, outcomes: Sequence[Outcome], done: Exchange) -> Collection[Any]:
        if not self._in_doubt:
            return done.refused
        records = self._store.get(done.refused)
        return {
            each.claim.id
            for each in outcomes
            if each.claim.id in done.refused and not _is_stored(each, records.get(each.claim.id))
        }

    def _announce(self, outcome: Outcome, hears_success: bool) -> None:
        if outcome.ending is Ending.RELEASED:
            return self._log(logging.INFO, outcome, "it was handed back and will run again")
        self._tally.executed += 1
        if outcome.ending is Ending.SUCCEEDED:
            if hears_success:
                self._announcer.call(lambda: self._send_finished(outcome))
            return None
        if outcome.ending is Ending.SNOOZED:
            why = f" ({outcome.error})" if outcome.error else ""
            return self._log(logging.INFO, outcome, "it runs again in %.1f s%s", outcome.delay, why)
        self._tally.failed += 1
        if outcome.ending is Ending.RETRYING:
            self._log(logging.WARNING, outcome, "it failed; next attempt in %.1f s", outcome.delay)
        elif outcome.task is None:  # no TaskResult can be made, so no signal can be sent
            self._log(logging.ERROR, outcome, "it failed: %s", outcome.error)
        else:
            self._announcer.call(lambda: self._send_finished(outcome))
        return None

    def _send_finished(self, outcome: Outcome) -> None:
        if outcome.task is None:
            return
        working_on.set(outcome.job)  # for what receivers log
        result = to_result(outcome.record, outcome.task)
        if outcome.error is None:
            return self._send(result)
        try:
            raise outcome.error  # receivers, such as Django's logger, read `sys.exc_info()`
        except BaseException:
            self._send(result)

    def _send(self, result: Any) -> None:
        task_finished.send_robust(sender=type(self._backend), task_result=result)

    def _log(self, level: int, outcome: Outcome, what: str, *values: object) -> None:
        shown = outcome.error if outcome.ending in (Ending.FAILED, Ending.RETRYING) else None
        claim = outcome.claim
        log_job(logger, level, self._service, claim, f": {what}", *values, error=shown)


def _is_stored(outcome: Outcome, record: Any) -> bool:
    """Whether the results hold this outcome, stored by a statement whose answer was lost."""
    if record is None:
        return False
    settlement = outcome.settlement
    return bool((record.fence, record.status) == (settlement.fence, settlement.status))
