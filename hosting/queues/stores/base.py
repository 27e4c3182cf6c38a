"""The contract between the queue and its database.

              add
               |      time                limit
               +--> WAITING --promote--> BLOCKED
               |       |                    |
               |    promote               admit
               v       v                    v
     claim <-- READY <-+--------------------+
       |         ^
       v         |  release, rescue
    RUNNING -----+
       |   \\------ retry ----> WAITING
       v
     settle: a row of results, SUCCESSFUL or FAILED

A claim is for one attempt. It raises the job's fence, and only who shows that fence while the job
is RUNNING can settle, retry or release it: whoever was given up for dead and comes back is refused.
A job that is cancelled while it is RUNNING leaves that state only to end: where it would go back to
WAITING or READY, it is FAILED with `JobCancelled`.
Only READY jobs are claimed: by priority (highest first), then by `due_at`, then by id, which is the
order of enqueueing within a process. `due_at` is `run_after`, or the moment of enqueueing without
it: a job that waited for its time does not stand behind those that were enqueued after that. A
retry sets it anew, a release leaves it. The task API knows WAITING, BLOCKED and READY as READY.

Every moment is the database's, of the statement and not of the transaction; no client's clock is
read. Every method takes or gives a batch. Outside a transaction each call is atomic or made of
steps that are; `add` is part of the caller's transaction. Stores keep no state but the database's
alias, and may be shared by threads. What a database raises passes through.

What every job passes through is written for each vendor; what is done now and then (`duties`) is
written once for all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from hosting.cancellation import CancellationToken
from hosting.queues.stores.duties import Control, Upkeep
from hosting.queues.stores.inbox import Inbox
from hosting.queues.stores.scheduled import Schedules
from hosting.queues.stores.values import (
    Claim,
    Exchange,
    JobRecord,
    Key,
    Look,
    NewJob,
    Settlement,
    Wanted,
)


class Store(ABC):
    """Keeps the jobs of one database; see the module's text for what holds for all methods."""

    #: Whether `listening` tells of new jobs only, and not of whatever is written.
    tells_of_jobs: ClassVar[bool] = True

    #: Whether a claim gives nothing of a queue that is paused, though it is wanted.
    leaves_out_paused: ClassVar[bool] = False

    #: Whether all others wait while one writes, in this process or another.
    has_one_writer: ClassVar[bool] = False

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @abstractmethod
    def add(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        """Write new jobs; returns them in the same order.

        For a job whose unique key is taken, the job that has it is returned, and nothing written.
        """

    def add_one(self, job: NewJob, meanwhile: Callable[[], object]) -> datetime:
        """Write a new job that has no unique key and no limit; when it was enqueued.

        `meanwhile` is called once or more, while the database works if it can be.
        """
        meanwhile()
        return self.add([job])[0].enqueued_at

    def deliver(self, job: NewJob, meanwhile: Callable[[], object]) -> datetime | None:
        """As `add_one`, and claim the job at once for a worker that rests, if there is one.

        None, and nothing is written, if this store or this job has no such way.
        """
        return None

    @abstractmethod
    def add_many(self, jobs: Sequence[NewJob]) -> None:
        """Write new jobs that differ in id, args and kwargs only, and are not unique."""

    @abstractmethod
    def exchange(self, settlements: Sequence[Settlement], wanted: Wanted | None) -> Exchange:
        """Record how attempts ended, and claim more, in one transaction.

        No job is claimed by two; one that another transaction holds is passed over.
        """

    @abstractmethod
    def release(self, claims: Collection[Claim], *, begun: bool) -> Exchange:
        """Give claimed jobs back, READY and due as before.

        Only an attempt that has begun is counted as one.
        """

    @abstractmethod
    def held_by(self, worker_id: str) -> list[Claim]:
        """The claims that a worker holds, also those whose answer never reached it."""

    @abstractmethod
    def waited(self, claim: Claim) -> float:
        """Seconds from when a claimed job was due until it was claimed."""

    @abstractmethod
    def get(self, ids: Collection[UUID]) -> dict[UUID, JobRecord]:
        """The jobs with these ids, as far as there are any, whether they have ended or not."""

    @abstractmethod
    def look(
        self, backend: str, queues: Collection[str] | None, after: Mapping[str, Key] | None
    ) -> Look:
        """What there is for a worker of these queues; one statement that locks nothing.

        Whether anything is ready is asked for behind these places, as in `Wanted`, or from the head
        if there are none. With None it is not asked, as it is known to be so.
        """

    @abstractmethod
    def queue_names(self, backend: str) -> list[str]:
        """The queues that have a job that is READY."""

    @abstractmethod
    def atomic(self) -> AbstractContextManager[Any]:
        """A transaction for reading and writing, or a part of the caller's."""

    @abstractmethod
    def savepoint(self, *, late: bool = False) -> str:
        """Begin a savepoint in the transaction that goes on; its name.

        A late one may begin with the first statement after it, until it is left.
        """

    def leave_savepoint(self, name: str) -> None:
        """Have what follows not belong to a savepoint, if that costs less than to leave it so."""
        return None

    def has_failed(self, connection: Any) -> bool:
        """Whether a statement has failed after which the transaction can only be rolled back.

        As far as that is known without asking the database.
        """
        return False

    def sees_updates(self, connection: Any) -> bool:
        """Whether a transaction of this connection may write what others have written meanwhile."""
        return True

    def sever(self, connection: Any) -> None:
        """End a connection of the driver, whatever another thread does with it."""
        return None

    @abstractmethod
    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Give the statements in the block so many seconds; then their connection is hung up."""

    def farewell(self, seconds: float) -> AbstractContextManager[None]:
        """As `deadline`, for leaving a transaction, which may connect anew."""
        return self.deadline(seconds)

    def hung_up_at(self, end: CancellationToken, seconds: float) -> AbstractContextManager[object]:
        """Hang up the connection of the block's statements once `end` is cancelled.

        It has so many seconds to connect, if it is not connected.
        """
        return nullcontext()

    def end_when_silent(self, seconds: float) -> None:
        """Have the database end this transaction once it hears nothing for so many seconds.

        Else, whoever is cut off in the middle of it would keep its locks until that is noticed.
        """
        return None

    @abstractmethod
    def holds(self, rows: QuerySet[Any]) -> bool:
        """In a transaction: whether there is such a row, whose key stays as it is until the end.

        On PostgreSQL nobody waits for that who changes other columns of the row.
        """

    def unlocked(self, model: type[Model], key: object) -> Q:
        """The row with this key, for a statement that changes it, unless others have locked it."""
        return Q(pk=key)

    def listening(
        self, ring: Callable[[], bool], inbox: Inbox | None = None
    ) -> AbstractContextManager[bool]:
        """Have `ring` called, on any thread, when other processes may have added jobs.

        What `deliver` sends to the inbox is taken there, if this store has such a way. `ring` says
        whether the call was of use, or jobs are searched for right now anyway. Gives whether it
        will be called: without it, workers have to look by themselves.
        """
        return nullcontext(False)

    def tell(self) -> None:
        """Tell workers of other processes, if they can be told, that there may be jobs to claim."""
        return None

    def note_listening(
        self, process: str, is_listening: bool, inboxes: Sequence[Inbox] = ()
    ) -> None:
        """Note whether a worker of this process sleeps, and wants to be told of new jobs.

        And which inboxes its workers have.
        """
        return None

    @property
    @abstractmethod
    def upkeep(self) -> Upkeep:
        """What any process may do with the jobs at any time."""

    @property
    @abstractmethod
    def control(self) -> Control:
        """What people do with the jobs from outside."""

    @property
    @abstractmethod
    def schedules(self) -> Schedules:
        """When tasks are enqueued by themselves."""

    def settle(self, settlements: Sequence[Settlement]) -> Exchange:
        """Record how attempts ended."""
        return self.exchange(settlements, None)

    def settle_last(self, settlements: Sequence[Settlement]) -> Exchange:
        """As `settle`, where nothing else follows in the transaction.

        It may be committed by this. If a claim was lost it is not, and can only be rolled back.
        """
        return self.settle(settlements)

    def claim(self, wanted: Wanted) -> Sequence[Claim]:
        """Claim what is wanted."""
        return self.exchange((), wanted).claims
