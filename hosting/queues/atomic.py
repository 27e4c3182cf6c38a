"""Jobs declared `atomic`: what they write, their end, and what they enqueue commit together.

Under the claim's fence that makes their effect in this database happen exactly once: a claim that
was lost is noticed before the job begins, and its row stays locked until the commit, so nobody
takes it over meanwhile.

Short jobs share a transaction, with a savepoint each, as a commit costs more than they do. A job
that fails is rolled back to its savepoint and takes no other with it. Where the transaction as a
whole fails (a constraint that is checked at the commit, a connection that a job has closed), none
of the jobs has had an effect, and each is run again in a transaction of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from django.db import InternalError, connections, transaction
from django.db.transaction import TransactionManagementError

from hosting.queues.execution import Executor
from hosting.queues.hand import JobInHand
from hosting.queues.outage import DATABASE_TROUBLE
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.stores.base import Store

PutBack = Callable[[JobInHand], object]

#: Seconds for which one transaction is given jobs.
SPAN = 0.005

#: The most jobs in one transaction.
LARGEST = 100


class _TransactionLeft(Exception):
    """A job has left the transaction it was given, which cannot go on."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"Job {outcome.claim.id} left the transaction it was given.")
        self.outcome = outcome


class _RolledBack(Exception):
    """Leaves the transaction or savepoint of a job that is to have no effect."""


class AtomicGroup:
    """Runs atomic jobs of one worker; may be shared by threads.

    `note` is told how many seconds so many jobs took, without the commit that they share: with it,
    jobs on a slow disk would seem too slow to share one.
    """

    def __init__(
        self, store: Store, executor: Executor, note: Callable[[float, int], object]
    ) -> None:
        self._store = store
        self._executor = executor
        self._note = note

    def run(
        self, jobs: Sequence[JobInHand], put_back: Callable[[JobInHand], None]
    ) -> list[Outcome]:
        """Run these jobs, and settle them; those to be run later are put back."""
        if len(jobs) == 1:
            return self._run_alone(jobs[0])
        try:
            return self._transact(jobs, put_back)
        except Exception:  # which job is to blame shows when each is alone
            self._discard_connection()
        for job in reversed([job for job in jobs if not job.is_over]):  # as one abandoned is
            job.runs_alone = True
            put_back(job)
        return []

    def _run_alone(self, job: JobInHand) -> list[Outcome]:
        try:
            return self._transact([job], lambda _: None)
        except _TransactionLeft as left:
            self._discard_connection()
            if left.outcome.ending is not Ending.SUCCEEDED:
                return [left.outcome]
            words = "The job left the transaction it was given, or closed its connection."
            return [self._executor.judge(job, TransactionManagementError(words))]
        except DATABASE_TROUBLE as error:
            # The commit may have succeeded although its answer was lost: settling it tells.
            self._discard_connection()
            return [self._interrupted(job, error)]
        except Exception as error:
            self._discard_connection()
            return [self._executor.judge(job, error)]

    def _transact(self, jobs: Sequence[JobInHand], put_back: PutBack) -> list[Outcome]:
        outcomes: list[Outcome] = []
        mates = list(jobs)
        for job in jobs:
            job.mates, job.connection = mates, connections[self._store.alias]
        with self._store.atomic():
            held = self._store.lock([job.claim for job in jobs])
            began = now = time.monotonic()  # connecting and locking take none of the jobs' time
            for job in jobs:
                if job.claim.id not in held:
                    outcomes.append(Outcome(job, Ending.RELEASED, None))  # which is refused
                elif outcomes and now > began + SPAN:
                    break
                else:
                    outcomes.append(self._run_to_savepoint(job))
                    now = time.monotonic()
            for job in reversed(jobs[len(outcomes) :]):
                mates.remove(job)
                put_back(job)
            self._note(now - began, len(outcomes))
            ended = [each for each in outcomes if each.ending is not Ending.RELEASED]
            done = self._store.settle([each.settlement for each in ended])
            if done.refused:
                raise TransactionManagementError("A locked claim was lost.")
            self._part_callbacks()
        for outcome in ended:
            outcome.is_settled, outcome.finished_at = True, done.moment
        return outcomes

    def _run_to_savepoint(self, job: JobInHand) -> Outcome:
        connection: Any = connections[self._store.alias]
        outcome: Outcome | None = None
        try:
            with transaction.atomic(using=self._store.alias):
                depth = len(connection.savepoint_ids)
                outcome = self._executor.attempt(job)
                is_inside = connection.in_atomic_block and len(connection.savepoint_ids) == depth
                if connection.closed_in_transaction or not is_inside:
                    raise _TransactionLeft(outcome)
                if outcome.ending is not Ending.SUCCEEDED:
                    raise _RolledBack
                if connection.needs_rollback:
                    raise TransactionManagementError("The job left its transaction broken.")
        except _RolledBack:
            pass
        except _TransactionLeft:
            raise
        except InternalError as error:
            broken = TransactionManagementError("The job left its transaction broken.")
            broken.__cause__ = error
            return self._executor.judge(job, broken)
        except Exception as error:
            return self._executor.judge(job, error)
        return outcome  # type: ignore[return-value]  # it is set wherever this is reached

    def _part_callbacks(self) -> None:
        """Have `on_commit` callbacks that raise logged, as others of the group follow them."""
        connection: Any = connections[self._store.alias]
        connection.run_on_commit = [
            (savepoints, callback, True) for savepoints, callback, _ in connection.run_on_commit
        ]

    def _interrupted(self, job: JobInHand, error: Exception) -> Outcome:
        return Outcome(job, Ending.RELEASED, None, error=error)

    def _discard_connection(self) -> None:
        """Leave nothing of the transaction behind, whatever state it is in."""
        connection: Any = connections[self._store.alias]
        connection.close()
        del connections[self._store.alias]
