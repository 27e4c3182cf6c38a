"""A worker's shift: claim, have executed, settle, wait, and begin again.

The loop waits for several things at once, by one event: a job may have been added (in this process,
or by another: the store listens), outcomes are there to be stored, a thread has nothing to do, it
is to stop. It also looks by itself, less and less often while nothing comes, which finds what no
wake-up told of. How many jobs it claims ahead depends on how long they take (`pace`): slow ones are
claimed one for each free thread, so other workers get the rest.

Its end is told in `shiftend`. It may be told before that to claim no more, where the end is in no
hurry: then it is done when all jobs in hand have ended by themselves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from hosting.cancellation import CancellationToken
from hosting.queues.backends import DatabaseBackend
from hosting.queues.execution import Executor
from hosting.queues.lookout import Lookout
from hosting.queues.maintenance import Maintenance
from hosting.queues.outage import DATABASE_TROUBLE, PATIENCE, Outage
from hosting.queues.outcomes import Outcome
from hosting.queues.position import Position
from hosting.queues.presence import Presence, present
from hosting.queues.reception import Reception
from hosting.queues.settling import Settler, Tally
from hosting.queues.shiftend import ShiftEnd
from hosting.queues.stoporder import StopOrder
from hosting.queues.stores.inbox import Inbox
from hosting.queues.stores.values import Wanted
from hosting.queues.wakeup import subscribed, wake_all
from hosting.queues.workshop import Workshop

#: Seconds for which a worker that was at rest leaves the interpreter to the job that has just come:
#: what else there is to do would have it begin a third of a millisecond later.
ASIDE = 0.001

#: Seconds that giving back what came last may take.
LAST = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What a shift is to do, and for whom."""

    service: str
    backend: DatabaseBackend
    queues: Collection[str] | None  # None: all
    concurrency: int
    poll_interval: float  # seconds
    call: Callable[..., Any]  # calls a function here, or a coroutine function on the event loop
    ready: Callable[[], None]  # told after every successful look at the queue
    beat: Callable[[float], None]  # told before every wait, and how long that may take
    degraded: Callable[[str], None]  # told why the queue cannot be looked at
    healthy: Callable[[], None]  # told when it can be again
    recycle: Callable[[str], None]  # told why this process should be replaced


class Shift:
    """One run of a worker; it has threads and claims of its own."""

    def __init__(self, duty: Duty, order: StopOrder, tally: Tally) -> None:
        self._duty = duty
        self._order = order
        self._store = duty.backend.store
        self._wake = threading.Event()
        self.is_done = False  # whether it claims no more and has no job in hand
        self._settler = Settler(duty.service, duty.backend, tally, self._forget)
        self._outage = Outage(self._store.alias, duty.service)
        self._steps_aside = False
        # Since it began, and since the last outage: a job that makes the database crash is among
        # the first to be claimed after that, and then its claim has to outlive the next crash.
        self._has_rested = False
        self._position = Position()
        self._stopping: CancellationToken
        self._presence: Presence
        self._lookout: Lookout
        self._workshop: Workshop
        self._reception: Reception

    @property
    def running(self) -> int:
        """How many jobs are in hand."""
        workshop: Workshop | None = getattr(self, "_workshop", None)
        return len(workshop) if workshop is not None else 0

    def work(self, stopping: CancellationToken) -> None:
        """Claim and execute until `stopping` is cancelled, then end the jobs in hand."""
        duty, self._stopping = self._duty, stopping
        with ExitStack() as stack:
            stack.callback(self._settler.close)
            stack.enter_context(stopping.register(self._wake.set))
            stack.callback(self._note_end)
            for token in (self._order.told, self._order.claims_no_more):
                stack.enter_context(token.register(self._wake.set))
            self._set_up(stack)
            while not stopping.is_cancelled:
                self._wake.clear()
                pause = self._round()
                duty.beat(pause)
                self._wake.wait(pause)
            self._reception.close()
            self._end().work()

    def _note_end(self) -> None:
        self.is_done = True

    def _set_up(self, stack: ExitStack) -> None:
        duty, store, backend = self._duty, self._store, self._duty.backend
        settings = backend.settings
        self._presence = stack.enter_context(present(store, settings.dead_after, self._wake.set))
        self._workshop = Workshop(
            duty.service,
            store,
            duty.concurrency,
            Executor(backend, duty.call),
            self._presence,
            self._settler.pending,
            self._wake.set,
            duty.recycle,
        )
        stack.callback(self._workshop.close)
        self._reception = Reception(
            store, self._presence, self._workshop, self._order, self._wake.set
        )
        maintenance = Maintenance(store, backend.alias, settings.dead_after, settings.retention)
        maintenance.begin()
        stack.callback(maintenance.close)
        self._lookout = Lookout(
            store,
            backend.alias,
            duty.queues,
            duty.poll_interval,
            self._position,
            self._listen,
        )
        stack.callback(self._presence.ears.leave, self)
        stack.enter_context(subscribed(store.alias, self._ring))
        if settings.listen:
            told = self._ring if store.tells_of_jobs else self._hint
            inbox = Inbox(
                backend.alias, duty.queues, self._presence.dead_after, self._reception.take
            )
            self._presence.ears.lend(self, inbox)
            self._reception.open(inbox)
            stack.callback(self._give_back_last)
            self._lookout.is_told = stack.enter_context(store.listening(told, inbox))
            stack.callback(self._reception.close)  # also if this ends by an error

    def _listen(self, is_asleep: bool) -> None:
        self._presence.ears.note(self, is_asleep)

    def _ring(self) -> bool:
        self._lookout.ring()
        self._wake.set()
        return True

    def _hint(self) -> bool:
        is_of_use = self._lookout.hint()
        if is_of_use:
            self._wake.set()
        return is_of_use

    def _end(self) -> ShiftEnd:
        return ShiftEnd(
            self._duty.service,
            self._duty.backend,
            self._order,
            self._workshop,
            self._settler,
            self._outage,
            self._wake,
            self._give_back,
        )

    # Settle and claim

    def _round(self) -> float:
        """Do once what there is to do; seconds until there is more, unless something happens."""
        self._lookout.hear()
        try:
            with self._store.deadline(PATIENCE):
                self._serve()
        except DATABASE_TROUBLE as error:
            self._presence.doubt()
            self._reception.follow(has_more=True)
            self._has_rested = False
            self._lookout.ring()
            pause = self._outage.note(error)
            self._duty.degraded(f"the database {self._store.alias!r} is away: {error}")
            self._duty.beat(pause)
            self._stopping.wait(pause)
            return 0.0
        if self._outage.has_begun:
            self._duty.healthy()
        self._outage.end()
        self._reception.follow(has_more=self._lookout.has_more)
        self._duty.ready()
        return self._pause()

    def _serve(self) -> None:
        self._lookout.refresh()
        if claims_no_more := self._order.claims_no_more.is_cancelled:
            self._workshop.empty()
        self._reception.give_strays_back()
        was_at_rest = not self._workshop
        limit = self._wanted()
        if limit or self._is_time_to_settle():
            with self._workshop.recess():
                self._exchange(limit)
        self._steps_aside = was_at_rest and len(self._workshop) > 0
        if self._steps_aside:
            return
        self._give_back()
        self._workshop.attend()
        if self._settler.pending and self._lookout.is_held_by_head:
            self._settler.exchange(None)  # what has ended does not wait for that
        self._lookout.look()
        self._has_rested |= not self._lookout.has_more
        self.is_done = claims_no_more and not self._workshop

    def _wanted(self) -> int:
        """How many jobs to claim."""
        if self._stopping.is_cancelled or self._order.claims_no_more.is_cancelled:
            return 0
        if not self._lookout.has_more:
            return 0
        if self._settler.is_behind or not self._presence.is_sure:
            return 0
        return self._workshop.wanted()

    def _is_time_to_settle(self) -> bool:
        pending = len(self._settler.pending)
        return pending > 0 and (pending == len(self._workshop) or self._settler.linger() <= 0)

    def _exchange(self, limit: int) -> None:
        """Settle what is pending, and claim up to `limit` jobs."""
        if not limit:
            self._settler.exchange(None)
            return
        if self._settler.pending and self._position.is_dear and self._position.is_at_head:
            self._settler.exchange(None)
        backend, queues = self._duty.backend.alias, self._lookout.served.names()
        after = self._position.begin()
        wanted = Wanted(
            self._presence.name, backend, queues, limit, after, may_be_lost=self._has_rested
        )
        with self._presence.claiming():
            claims = self._settler.exchange(wanted)
            if claims:
                self._workshop.begin(claims)
        self._lookout.found(self._position.end(claims, limit))
        self._workshop.pace.trust(limit, len(claims))

    def _pause(self) -> float:
        if self._steps_aside:
            return ASIDE
        if self._wanted():
            return 0.0
        pauses = [self._lookout.pause(), self._workshop.watch()]
        if self._settler.pending:
            pauses.append(max(0.0, self._settler.linger()))
        if (again := self._reception.pause()) is not None:
            pauses.append(again)
        return min(pauses)

    def _give_back(self) -> None:
        """Release the claims of jobs that were not begun."""
        if not (jobs := self._workshop.take_unbegun()):
            return
        try:
            self._store.release([job.claim for job in jobs], begun=False)
        except DATABASE_TROUBLE:
            self._workshop.put_unbegun(jobs)
            raise
        self._workshop.drop([job.claim.id for job in jobs])
        wake_all(self._store)

    def _give_back_last(self) -> None:
        """Give back what was delivered until nobody listened any more, if there is time.

        What is left is for another worker of this process, or for others, once this process holds
        nothing any more.
        """
        self._presence.doubt()
        if self._outage.has_begun or self._order.over.is_cancelled:
            return
        with suppress(*DATABASE_TROUBLE), self._store.deadline(LAST):
            self._give_back()
            self._reception.give_strays_back()

    def _forget(self, outcomes: Sequence[Outcome]) -> None:
        self._workshop.drop([outcome.claim.id for outcome in outcomes])
        if any(outcome.claim.limit_key for outcome in outcomes):
            self._lookout.look_soon()
