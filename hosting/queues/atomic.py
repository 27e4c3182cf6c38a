"""Jobs declared `atomic`: what they write, their end, and what they enqueue commit together.

Under the claim's fence that makes their effect in this database happen exactly once: a claim that
was lost meanwhile is refused when it is settled, and the whole transaction is undone.

Short jobs share a transaction, with a savepoint each, as a commit costs more than they do. A job
that fails is rolled back to its savepoint and takes no other with it. Where the transaction as a
whole fails (a constraint that is checked at the commit, a connection that a job has closed), none
of the jobs has had an effect, and each is run again in a transaction of its own.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.transaction import TransactionManagementError

from hosting.context import log_fields, working_on
from hosting.queues.execution import Executor
from hosting.queues.hand import JobInHand
from hosting.queues.outage import DATABASE_TROUBLE, PATIENCE, is_raised
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.pace import Room
from hosting.queues.savepoint import Savepoint
from hosting.queues.stores.base import Store

logger = logging.getLogger(__name__)

PutBack = Callable[[JobInHand], object]

#: Seconds for which one transaction is given jobs.
SPAN = 0.01

#: The most jobs in one transaction.
LARGEST = 100

#: Seconds until a job runs again whose transaction the database did not take.
AGAIN = 1.0


class _TransactionLeft(Exception):
    """A job has left the transaction it was given, which cannot go on."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"Job {outcome.claim.id} left the transaction it was given.")
        self.outcome = outcome


class _ClaimsLost(Exception):
    """Some jobs of the transaction are not ours any more."""

    def __init__(self, ids: Collection[UUID]) -> None:
        super().__init__(f"The claims of {len(ids)} jobs were lost.")
        self.ids = ids


class AtomicGroup:
    """Runs atomic jobs of one worker; may be shared by threads.

    `note` is told how many seconds so many jobs took, without the commit that they share: with it,
    jobs on a slow disk would seem too slow to share one. `move` is told when one has ended.
    """

    def __init__(
        self,
        store: Store,
        executor: Executor,
        note: Callable[[float, int], object],
        move: Callable[[float], object],
    ) -> None:
        self._store = store
        self._executor = executor
        self._note = note
        self._move = move
        self.room = Room(LARGEST, SPAN)

    def run(
        self, jobs: Sequence[JobInHand], put_back: Callable[[JobInHand], None]
    ) -> list[Outcome]:
        """Run these jobs, and settle them; those to be run later are put back."""
        if len(jobs) == 1:
            return self._run_alone(jobs[0])
        mates = list(jobs)
        lost: Collection[UUID] = ()
        try:
            return self._transact(mates, put_back)
        except _ClaimsLost as loss:
            lost = loss.ids
        except Exception:  # which job is to blame shows when each is alone
            self.discard_connection()
        for job in reversed(mates):
            if not job.is_over and job.claim.id not in lost:  # over is one that was abandoned
                job.runs_alone = True
                put_back(job)
        return [_refused(job) for job in mates if job.claim.id in lost]

    def _run_alone(self, job: JobInHand) -> list[Outcome]:
        try:
            return self._transact([job], lambda _: None)
        except _TransactionLeft as left:
            self.discard_connection()
            if left.outcome.ending is not Ending.SUCCEEDED:
                return [left.outcome]
            words = "The job left the transaction it was given, or closed its connection."
            return [self._executor.judge(job, TransactionManagementError(words))]
        except _ClaimsLost:
            return [_refused(job)]
        except DATABASE_TROUBLE as error:
            self.discard_connection()
            if is_raised(error):
                return [self._executor.judge(job, error)]
            # The commit may have succeeded although its answer was lost: settling it tells.
            return [Outcome(job, Ending.SNOOZED, None, error=error, delay=AGAIN)]
        except Exception as error:
            self.discard_connection()
            return [self._executor.judge(job, error)]

    def _transact(self, mates: list[JobInHand], put_back: PutBack) -> list[Outcome]:
        """Run these in one transaction; those for which there was no time are taken out."""
        outcomes: list[Outcome] = []
        jobs, connection = list(mates), self._connection
        for job in jobs:
            job.mates, job.connection = mates, connection
        with self._transaction():
            began = now = time.monotonic()  # connecting takes none of the jobs' time
            for job in jobs:
                if outcomes and now > began + SPAN:
                    break
                job.began, before = now, working_on.set(job)
                try:
                    outcomes.append(self._run_to_savepoint(job, late=len(jobs) > 1))
                finally:
                    working_on.reset(before)
                job.ended = now = time.monotonic()
                self._move(now)
            for job in reversed(jobs[len(outcomes) :]):
                mates.remove(job)
                put_back(job)
            self._note(now - began, len(outcomes))
            self.room.note(len(jobs), len(outcomes), now - began)
            ended = [each for each in outcomes if each.ending is not Ending.RELEASED]
            with self._store.deadline(PATIENCE):
                done = self._store.settle_last([each.settlement for each in ended])
            if done.refused:
                raise _ClaimsLost(done.refused)
            callbacks = self._take_callbacks()
        for outcome in ended:
            outcome.note(done)
        for callback in callbacks:
            _call(callback)
        return outcomes

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction for which the database has only so much time to begin it and to end it."""
        transaction = self._store.atomic()
        with self._store.deadline(PATIENCE):
            transaction.__enter__()
        try:
            yield
        except BaseException:
            with self._store.farewell(PATIENCE):
                transaction.__exit__(*sys.exc_info())
            raise
        with self._store.farewell(PATIENCE):
            transaction.__exit__(None, None, None)

    def _run_to_savepoint(self, job: JobInHand, *, late: bool) -> Outcome:
        with self._store.deadline(PATIENCE):
            savepoint = Savepoint(self._store, late=late)
        outcome = self._executor.attempt(job)
        if not savepoint.is_current:
            raise _TransactionLeft(outcome)
        if outcome.ending is not Ending.SUCCEEDED or savepoint.is_in_doubt:
            outcome = self._undo_what_failed(job, outcome, savepoint)
        savepoint.end()
        return outcome

    def _undo_what_failed(self, job: JobInHand, outcome: Outcome, savepoint: Savepoint) -> Outcome:
        with self._store.deadline(PATIENCE):
            if outcome.ending is Ending.SUCCEEDED and savepoint.is_broken:
                broken = TransactionManagementError("The job left its transaction broken.")
                outcome = self._executor.judge(job, broken)
            if outcome.ending is not Ending.SUCCEEDED:
                savepoint.roll_back()
        return outcome

    @property
    def _connection(self) -> Any:
        return connections[self._store.alias]

    def _take_callbacks(self) -> list[Callable[[], object]]:
        """The `on_commit` callbacks of the jobs, which take the time of no statement.

        In somebody else's transaction they are left to that.
        """
        connection = self._connection
        if connection.savepoint_ids:
            return []
        taken, connection.run_on_commit = connection.run_on_commit, []
        return [callback for _, callback, *_ in taken]

    def discard_connection(self) -> None:
        """Leave nothing of the transaction behind, whatever state it is in."""
        self._connection.close()
        del connections[self._store.alias]


def _call(callback: Callable[[], object]) -> None:
    """Call an `on_commit` callback; others of the group follow, whatever it raises."""
    try:
        callback()
    except BaseException:  # also SystemExit, as of a job
        logger.exception(
            "%r, an on_commit callback of an atomic job, has failed", callback, extra=log_fields()
        )


def _refused(job: JobInHand) -> Outcome:
    return Outcome(job, Ending.RELEASED, None)  # as whoever stores it will find
