"""The contract between the queue and its database.

    add            claim               settle: Succeeded
     |   +-------+ -----> +---------+ ---------------> SUCCESSFUL
     +-> | READY |        | RUNNING |
         +-------+ <----- +---------+ ---------------> FAILED
                   release              settle: Failed
                   settle: Retry

A claim is for one attempt. It raises the job's fence, and only who shows that fence while the job
is RUNNING can settle or release it: whoever was given up for dead and comes back is refused. A job
may be claimed once its `due_at` has come; jobs are claimed by priority (highest first), then by
`due_at`, then by id, which is the order of enqueueing within a process. `due_at` is `run_after`, or
the moment of enqueueing without it: a job that waited for its time does not stand behind those
that were enqueued after that. A retry sets it anew, a release leaves it.

Every moment is the database's, of the statement and not of the transaction; no client's clock is
read. Every method takes or gives a batch. Outside a transaction each call is atomic or made of
steps that are; `add` is part of the caller's transaction. Stores keep no state but the database's
alias, and may be shared by threads. What a database raises passes through.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hosting.compat import TaskError, TaskResultStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job to be added; `args` and `kwargs` are JSON texts, see `codec.encode_arguments`."""

    id: UUID
    backend: str
    queue_name: str
    priority: int
    task_path: str
    args: str
    kwargs: str
    run_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job's row, decoded.

    `damage` says which columns hold something else than they should; those are empty here.
    """

    id: UUID
    backend: str
    queue_name: str
    priority: int
    task_path: str
    args: list[Any]
    kwargs: dict[str, Any]
    status: TaskResultStatus
    run_after: datetime | None
    due_at: datetime
    enqueued_at: datetime
    started_at: datetime | None
    last_attempted_at: datetime | None
    finished_at: datetime | None
    return_value: Any
    errors: tuple[TaskError, ...]
    worker_ids: tuple[str, ...]
    claimed_by: str
    fence: int
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to execute a job once: its record as claimed, and the fence of that claim."""

    record: JobRecord

    @property
    def id(self) -> UUID:
        return self.record.id

    @property
    def fence(self) -> int:
        return self.record.fence


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The attempt returned; `return_value` is a JSON text."""

    return_value: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed and is the last one."""

    error: TaskError


@dataclass(frozen=True, slots=True)
class Retry:
    """The attempt failed; the job is due again in `delay` seconds."""

    error: TaskError
    delay: float


Result = Succeeded | Failed | Retry


@dataclass(frozen=True, slots=True)
class Settlement:
    """How the attempt of a claim ended."""

    id: UUID
    fence: int
    result: Result

    @property
    def status(self) -> TaskResultStatus:
        """The status that the job gets."""
        return _STATUS[type(self.result)]


_STATUS: Mapping[type, TaskResultStatus] = {
    Succeeded: TaskResultStatus.SUCCESSFUL,
    Failed: TaskResultStatus.FAILED,
    Retry: TaskResultStatus.READY,
}


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of one queue have one status."""

    backend: str
    queue_name: str
    status: TaskResultStatus
    jobs: int


class Store(ABC):
    """Keeps the jobs of one database; see the module's text for what holds for all methods."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @abstractmethod
    def add(self, jobs: Sequence[NewJob]) -> list[JobRecord]:
        """Write new jobs, READY; returns them in the same order."""

    @abstractmethod
    def claim(
        self, worker_id: str, backend: str, queues: Collection[str] | None, limit: int
    ) -> list[Claim]:
        """Claim up to `limit` due jobs of these queues (None: of all), in claiming order.

        No job is claimed by two; one that another transaction holds is passed over.
        """

    @abstractmethod
    def settle(self, settlements: Collection[Settlement]) -> dict[UUID, datetime | None]:
        """Record how attempts ended; returns when by id (None: to be retried) what was accepted.

        What is missing from the answer was refused: the claim was no longer the job's.
        """

    @abstractmethod
    def release(self, claims: Collection[Claim]) -> set[UUID]:
        """Give claimed jobs back, READY and due as before; returns the ids that were accepted."""

    @abstractmethod
    def held_by(self, worker_id: str) -> list[Claim]:
        """The claims that a worker holds, also those whose answer never reached it."""

    @abstractmethod
    def get(self, ids: Collection[UUID]) -> dict[UUID, JobRecord]:
        """The jobs with these ids, as far as there are any."""

    @abstractmethod
    def seconds_until_due(self, backend: str, queues: Collection[str] | None) -> float | None:
        """Seconds until a job of these queues is due, 0 or less if one is; None without any."""

    @abstractmethod
    def counts(self) -> list[Depth]:
        """How many jobs there are by backend, queue and status; without those that have none."""

    @abstractmethod
    def delete_finished(self, older_than: timedelta, limit: int) -> int:
        """Delete up to `limit` jobs that finished more than `older_than` ago; returns how many."""
