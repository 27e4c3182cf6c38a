"""`drain`: executes jobs of the durable queue on the spot, in the calling thread.

A drain is a worker without threads. It claims one job at a time, has the worker's own `Executor`
make the attempt, the worker's own `Settler` store the outcome, and the store judge retries, limits,
keys and batches. What differs is what a thread of the test must not lose: in the transaction of a
`TestCase` each job gets a savepoint, so that a statement that fails in it spoils no more than that
job, and the connection stays whatever a job does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.transaction import TransactionManagementError

from hosting.cancellation import CancellationToken
from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS
from hosting.context import working_on
from hosting.ids import process_name
from hosting.queues.announcer import Announcer
from hosting.queues.atomic import AtomicGroup
from hosting.queues.backends import DatabaseBackend
from hosting.queues.calls import database_backend
from hosting.queues.execution import Executor
from hosting.queues.hand import Holder, JobInHand
from hosting.queues.housekeeping import restore_connections
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.served import Served
from hosting.queues.settling import Settler, Tally
from hosting.queues.stores.values import Claim, Wanted
from hosting.testing.attempts import Attempt, Drained
from hosting.testing.guests import GuestGroup, LoneGroup, Place, transactions, undo
from hosting.testing.onthespot import call_here
from hosting.testing.stored import bring_forward


def drain(
    backend: str = DEFAULT_TASK_BACKEND_ALIAS,
    *,
    queues: Collection[str] | None = None,
    include_scheduled: bool = False,
    retries: bool = False,
    errors: str = "raise",
    limit: int = 1000,
) -> Drained:
    """Execute the jobs that are ready, and those that they enqueue, until none is left.

    With `include_scheduled`, also those that wait for their `run_after` or have snoozed, in the
    order in which they are due. With `retries`, also further attempts of jobs that have failed,
    without the wait. What a limit does not allow stays where it is, and so does what is in a paused
    queue.

    An attempt that fails, and that this drain does not repeat, ends it: what the task has raised is
    raised here, and what is left stays in the queue. With `errors="collect"` the drain goes on, and
    the errors are in what it returns. After `limit` attempts with more to do it is an
    AssertionError. Raises TypeError for a backend of another kind.
    """
    if errors not in ("raise", "collect"):
        raise ValueError(f"errors is {errors!r}, allowed: 'raise', 'collect'")
    if isinstance(queues, str):  # a collection of names too, each of one letter
        raise ValueError(f"queues is {queues!r}, allowed: a list of names")
    found = database_backend(backend)
    names = queues or found.queues
    served = sorted(names) if names else None
    worker = _Drain(found, served)
    drained = Drained()
    while (claim := worker.claim(include_scheduled, retries)) is not None:
        if len(drained) >= limit:
            worker.give_back(claim)
            raise AssertionError(
                f"drain() has made {limit} attempts and there is more to do, next: "
                f"{claim.task_path}. Allowed: limit={limit}."
            )
        outcome = worker.execute(claim)
        drained.append(Attempt.of(outcome))
        if (error := _to_raise(outcome, errors, retries)) is not None:
            raise error
    return drained


async def adrain(backend: str = DEFAULT_TASK_BACKEND_ALIAS, **options: Any) -> Drained:
    """As `drain`, for asynchronous tests."""
    return await sync_to_async(drain)(backend, **options)


def _to_raise(outcome: Outcome, errors: str, retries: bool) -> BaseException | None:
    error = outcome.error
    if outcome.ending is Ending.RELEASED or isinstance(error, KeyboardInterrupt):
        return error  # the database is away, or somebody has pressed Ctrl-C
    is_repeated = retries and outcome.ending is Ending.RETRYING and not outcome.is_cancelled
    return error if errors == "raise" and not is_repeated else None


class _Drain:
    """Claims, executes and settles, one job at a time."""

    def __init__(self, backend: DatabaseBackend, queues: Collection[str] | None) -> None:
        self._backend = backend
        self._queues = queues
        self._store = backend.store
        self._served = Served(self._store, backend.alias, queues)
        self._never = CancellationToken()
        self._executor = Executor(backend, call_here)
        self._executor.look_for_listeners()
        announcer = _Announcer("hosting:drain:announce")
        self._settler = Settler("drain", backend, Tally(), lambda _: None, announcer)
        is_guest = bool(transactions())
        group: type[AtomicGroup] = GuestGroup if is_guest else LoneGroup
        self._atomic = group(self._store, self._executor, note=_unheard, move=_unheard)
        self._attempt = self._attempt_as_guest if is_guest else self._attempt_alone

    def claim(self, include_scheduled: bool, retries: bool) -> Claim | None:
        """The next job, if there is one to be executed."""
        while not (claims := self._store.claim(self._wanted())):
            if not self._lets_go() and not bring_forward(
                self._backend, self._queues, scheduled=include_scheduled, failed=retries
            ):
                return None
        return claims[0]

    def _wanted(self) -> Wanted:
        if not self._store.leaves_out_paused:
            self._served.read()
        return Wanted(process_name(), self._backend.alias, self._served.names(), 1)

    def _lets_go(self) -> bool:
        """Whether more is ready now: what was due, and what limits and batches have held up."""
        upkeep = self._store.upkeep
        return any([upkeep.release_held(), upkeep.promote(), upkeep.admit()[0]])

    def give_back(self, claim: Claim) -> None:
        """Leave a job in the queue as it was."""
        self._store.release([claim], begun=False)

    def execute(self, claim: Claim) -> Outcome:
        """Make one attempt, and store how it has ended."""
        job = JobInHand(claim, self._never, Holder("drain", process_name(), time.monotonic()))
        before = working_on.set(job)
        try:
            outcome = self._attempt_once(job)
            job.end()
            self._settler.pending.append(outcome)
            self._settler.exchange(None)
        finally:
            working_on.reset(before)
        return outcome

    def _attempt_once(self, job: JobInHand) -> Outcome:
        outcome = self._executor.prepare(job)
        if outcome is None and job.options and job.options.atomic:
            [outcome] = self._atomic.run([job], lambda _: None)
        return outcome or self._attempt(job)

    def _attempt_alone(self, job: JobInHand) -> Outcome:
        outcome = self._executor.attempt(job)
        for alias in transactions():
            undo(connections[alias])
            outcome = self._left_open(job, alias)
        restore_connections()
        return outcome

    def _attempt_as_guest(self, job: JobInHand) -> Outcome:
        alias = self._store.alias
        if not connections[alias].in_atomic_block:  # only others are
            return self._executor.attempt(job)
        place = Place(self._store)
        outcome = self._executor.attempt(job)
        if place.is_lost:
            raise AssertionError(
                f"{job.claim.task_path} has ended the transaction of the test, or closed its "
                f"connection {alias!r}; use a TransactionTestCase."
            ) from outcome.error
        return outcome if place.restore() else self._left_open(job, alias)

    def _left_open(self, job: JobInHand, alias: str) -> Outcome:
        words = f"The job has left a transaction open on {alias!r}, which is undone."
        return self._executor.judge(job, TransactionManagementError(words))


class _Announcer(Announcer):
    """Calls receivers of `task_finished` at once, in this thread."""

    def call(self, function: Callable[[], object]) -> None:
        function()


def _unheard(*_: object) -> None:
    """How long jobs take is of no interest here."""
