"""Where the jobs of a worker are: those that wait for a thread, and those that run.

Threads take jobs from one line, as long as there are any; so a hundred quick jobs cost one thread
being woken. Where jobs wait though no thread makes progress, more threads are woken, and what still
waits after a moment is given back for others to execute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from uuid import UUID

from hosting.cancellation import CancellationToken
from hosting.context import ServiceWork, working_on
from hosting.queues.atomic import LARGEST, AtomicGroup
from hosting.queues.attendance import ATTENDANCE, Attendance
from hosting.queues.crew import Crew
from hosting.queues.execution import Executor, JobTimedOut
from hosting.queues.hand import Holder, JobInHand
from hosting.queues.housekeeping import restore_connections
from hosting.queues.joblog import log_job
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.pace import Pace
from hosting.queues.parallelism import Parallelism
from hosting.queues.presence import Presence
from hosting.queues.recess import Recess
from hosting.queues.settling import LARGE
from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import SUSPECT
from hosting.queues.stores.values import Claim
from hosting.queues.suspects import Suspects
from hosting.scope import refresh_connections
from hosting.threads import thread_stack

logger = logging.getLogger(__name__)

#: Seconds between two looks at what the threads do while jobs wait for them.
TICK = 0.01

#: Seconds without any progress after which jobs that wait in this process are given back.
STUCK = 0.5


class Workshop:
    """The jobs in hand of one worker, and the threads that execute them.

    `pending` is where outcomes go, `wake` tells the worker that it has something to do, `recycle`
    why this process should be replaced.
    """

    def __init__(
        self,
        service: str,
        store: Store,
        concurrency: int,
        executor: Executor,
        presence: Presence,
        pending: deque[Outcome],
        wake: Callable[[], object],
        recycle: Callable[[str], object],
    ) -> None:
        self.pace = Pace(concurrency)
        self._parallelism = Parallelism(concurrency)
        self.told = CancellationToken()  # parent of every job's token
        self._service = service
        self._work = ServiceWork(service)
        self._store = store
        self._executor = executor
        self._atomic = AtomicGroup(store, executor, self._note, self._move)
        self._recess = Recess()
        self._suspects = Suspects(store, lambda job: self._execute_any(job, 1))
        self._presence = presence
        self._pending = pending
        self._wake = wake
        self._recycle = recycle
        self._crew = Crew(f"hosting:{service}:job", concurrency, self._work_off, wake)
        self._in_hand: dict[UUID, JobInHand] = {}
        self._waiting: deque[JobInHand] = deque()  # of those in hand, they have not begun
        self._unbegun: deque[JobInHand] = deque()  # of those in hand, they are to be given back
        self._attendance = Attendance(store, presence.name, self._in_hand)
        self._last_move = 0.0  # when a job last ended, or the first was claimed

    def __len__(self) -> int:
        """How many jobs are in hand: also those whose outcomes are not stored yet."""
        return len(self._in_hand)

    def wanted(self) -> int:
        """How many more jobs there is use for."""
        return self.pace.wanted(self._crew.idle, len(self._waiting))

    def begin(self, claims: Sequence[Claim]) -> None:
        """Have these jobs executed."""
        holder = self._holder()
        now = holder.since
        jobs = [JobInHand(claim, self.told, holder) for claim in claims]
        self._in_hand.update((job.claim.id, job) for job in jobs)
        self._presence.holds(claims)
        self._executor.look_for_listeners()
        if not self._waiting:
            self._last_move = now
        self._waiting.extend(jobs)
        if len(self._waiting) == len(jobs) or self.pace.is_slow:
            threads = self.pace.threads(len(self._waiting))
            self._crew.wake(threads if self.pace.is_slow else self._parallelism.most_of(threads))

    @property
    def has_room(self) -> bool:
        """Whether another job would begin at once."""
        return self._crew.idle > 0 and not self._waiting

    def refuse(self, claim: Claim) -> None:
        """Have a job given back that was claimed for this worker, and is not begun."""
        job = JobInHand(claim, self.told, self._holder())
        self._in_hand[claim.id] = job
        self._unbegun.append(job)

    def _holder(self) -> Holder:
        return Holder(self._service, self._presence.name, time.monotonic())

    def recess(self) -> AbstractContextManager[None]:
        """Have no job begin for a moment, in which the worker writes, where that is of use."""
        if not self._store.has_one_writer:
            return nullcontext()
        return self._recess.opened(is_awaited=self._crew.awake > 0 and not self.pace.is_slow)

    def watch(self) -> float:
        """See to it that jobs that wait are begun, here or elsewhere; seconds until the next."""
        if not self._in_hand:
            return ATTENDANCE
        now = time.monotonic()
        pauses = [self._attendance.pause(now)]
        if self._waiting:
            self._hurry(now - self._last_move)
            pauses.append(TICK)
        return max(0.0, min(pauses))

    def _hurry(self, still: float) -> None:
        more = self._parallelism.judge()
        if still > TICK:  # twice as many each time, as one or two may be all that it takes
            more = max(more, self._crew.awake, 1)
        self._crew.wake(min(more, len(self._waiting)))
        if still > STUCK:
            self.pace.note(still, 1)
            self.empty()

    def empty(self) -> None:
        """Have given back what has not begun."""
        with suppress(IndexError):
            while True:
                self._unbegun.append(self._waiting.popleft())
        self._unbegun.extend(self._suspects.take_all())

    def take_unbegun(self) -> list[JobInHand]:
        """What is to be given back."""
        return [self._unbegun.popleft() for _ in range(len(self._unbegun))]

    def put_unbegun(self, jobs: Iterable[JobInHand]) -> None:
        """Have these given back later."""
        self._unbegun.extend(jobs)

    def left(self) -> list[JobInHand]:
        """The jobs in hand that are not over."""
        return [job for job in list(self._in_hand.values()) if not job.is_over]

    def drop(self, ids: Iterable[UUID]) -> None:
        """Forget jobs that are in hand no more."""
        for job_id in ids:
            if (job := self._in_hand.pop(job_id, None)) is not None:
                self._presence.lets_go(job.claim)

    def close(self) -> None:
        """Let the threads end after what they do now."""
        self._crew.close()

    # Execute, on the threads of the crew

    def _work_off(self) -> bool:
        """Execute jobs until none waits or others are enough; False once this was given up."""
        refresh_connections()
        while True:
            self._recess.keep()
            try:
                job = self._waiting.popleft()
            except IndexError:
                self._parallelism.interrupt()
                working_on.set(self._work)
                return True
            if not self._presence.is_sure:
                self._unbegun.append(job)
            elif not self._execute(job):
                return False
            if self._is_worth_a_round():
                self._wake()
            is_atomic = job.options is not None and job.options.atomic
            is_short = is_atomic or not self.pace.is_slow
            if is_short and self._parallelism.is_enough(threading.get_ident()):
                working_on.set(self._work)
                return True

    def _execute(self, job: JobInHand) -> bool:
        if job.claim.deaths < SUSPECT:
            return self._execute_any(job, LARGEST)
        return self._suspects.run(job)

    def _execute_any(self, job: JobInHand, largest: int) -> bool:
        outcome = self._executor.prepare(job)
        if outcome is None and job.options and job.options.atomic:
            return self._execute_atomically(job, largest)
        if outcome is None:
            self._watch_time(job)
            working_on.set(job)
            job.began = began = time.monotonic()
            outcome = self._executor.attempt(job)
            job.ended = self._last_move = ended = time.monotonic()
            self.pace.note(ended - began, 1)
            restore_connections()
        refresh_connections()
        return self._end([outcome])

    def _execute_atomically(self, first: JobInHand, largest: int) -> bool:
        jobs = [first]
        most = 1 if first.runs_alone else min(largest, self._atomic.room.jobs)
        while len(jobs) < most and self._waiting:
            with suppress(IndexError):
                job = self._waiting.popleft()
                if job.claim.deaths >= SUSPECT:
                    self._waiting.appendleft(job)
                    break
                outcome = self._executor.prepare(job)
                if outcome is not None:
                    self._end([outcome])
                elif job.options and job.options.atomic and not job.runs_alone:
                    jobs.append(job)
                else:
                    self._waiting.appendleft(job)
                    break
        for job in jobs:
            self._watch_time(job)
        working_on.set(self._work)  # until one of these begins
        outcomes = self._atomic.run(jobs, self._waiting.appendleft)
        restore_connections()
        refresh_connections()
        # Of a job that was abandoned there may be no outcome; then the first is over too.
        was_abandoned = first.is_over
        return self._end(outcomes) and not was_abandoned

    def _note(self, seconds: float, jobs: int) -> None:
        # Without what they have waited for each other.
        self.pace.note(seconds / self._parallelism.crowd, jobs)

    def _move(self, now: float) -> None:
        self._last_move = now

    def _watch_time(self, job: JobInHand) -> None:
        if job.options and job.options.timeout is not None:
            job.abandon = self._abandon

    def _end(self, outcomes: Sequence[Outcome]) -> bool:
        """Have outcomes settled; False if the jobs were abandoned meanwhile."""
        ended = [outcome for outcome in outcomes if outcome.job.end()]
        self._pending.extend(ended)
        return len(ended) == len(outcomes)

    def _is_worth_a_round(self) -> bool:
        return len(self._pending) >= LARGE or len(self._waiting) == self.pace.ahead() // 2

    # Jobs that run

    def attend(self) -> None:
        """See to the jobs that run."""
        self._attendance.attend()

    def _abandon(self, job: JobInHand) -> None:
        """Give up a job that does not end: its claim, its transaction, its thread."""
        error = JobTimedOut("It did not end in its time, and was abandoned.")
        if not job.end():
            return
        stack = thread_stack(job.thread) if job.thread else ""
        words = " has not ended in its time and is abandoned; it is at\n%s"
        log_job(logger, logging.ERROR, self._service, job.claim, words, stack)
        if job.connection is not None:
            self._store.sever(job.connection.connection)
        mates = [mate for mate in list(job.mates) if mate is not job and mate.end()]
        self._pending.append(self._executor.judge(job, error))
        self._pending.extend(Outcome(mate, Ending.RELEASED, None) for mate in mates)
        self._crew.write_off()
        self._recycle(f"a thread is lost to job {job.claim.id} ({job.claim.task_path})")
        self._wake()
