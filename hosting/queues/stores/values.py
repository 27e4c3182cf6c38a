"""What goes in and out of a store: new jobs, claims, settlements, records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from hosting.compat import TaskError, TaskResultStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRule:
    """What holds for all jobs with one key across the fleet."""

    key: str
    running: int | None = None  # at most so many at once
    count: int | None = None  # at most so many begin in `period`
    period: float | None = None  # seconds


class NewJob(NamedTuple):
    """A job to be added; `args` and `kwargs` are JSON texts, see `codec.encode_arguments`."""

    # What differs between the calls of one task comes first.
    id: UUID
    args: str
    kwargs: str
    backend: str
    queue_name: str
    priority: int
    task_path: str
    options: str = ""  # JSON, see `hosting.queues.declared.enqueueing`
    run_after: datetime | None = None
    expires_in: float | None = None  # seconds from now
    unique_key: str | None = None  # no second job with this key while this one is there
    unique_until_claimed: bool = False  # ... only until it is claimed
    unique_period: float | None = None  # ... for so many seconds, also after its end
    limit: LimitRule | None = None
    batch_id: UUID | None = None
    is_held: bool = False  # until no other job of its batch is left


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
    options: str
    status: TaskResultStatus
    run_after: datetime | None
    enqueued_at: datetime
    started_at: datetime | None
    last_attempted_at: datetime | None
    finished_at: datetime | None
    return_value: Any
    errors: tuple[TaskError, ...]
    worker_ids: tuple[str, ...]  # the running attempt's too
    fence: int
    progress: str
    damage: str | None = None


Key = tuple[int, Any, Any]

#: As places by queue: before all jobs of every queue.
HEAD: Mapping[str, Key] = {}


class Claim:
    """The right to execute a job once.

    It holds what an attempt needs as the database gave it; the whole record is decoded when
    somebody asks for it, which for most jobs is nobody.
    """

    __slots__ = (
        "_read",
        "_record",
        "args",
        "deaths",
        "failures",
        "fence",
        "id",
        "is_expired",
        "key",
        "kwargs",
        "limit_key",
        "options",
        "queue_name",
        "source",
        "task_path",
    )

    def __init__(
        self,
        id: UUID,
        fence: int,
        queue_name: str,
        key: Key,
        rest: tuple[Any, ...],  # task_path, args, kwargs, options, limit_key, failures, deaths
        is_expired: bool,
        source: Any,
        read: Callable[[Any], JobRecord],
    ) -> None:
        self.id = id
        self.fence = fence
        self.queue_name = queue_name
        self.key = key  # its place in the order of claims: (rank, due_at, id)
        self.task_path: str
        self.args: str
        self.kwargs: str
        self.options: str
        self.limit_key: str
        self.failures: int
        self.deaths: int
        (
            self.task_path,
            self.args,
            self.kwargs,
            self.options,
            self.limit_key,
            self.failures,
            self.deaths,
        ) = rest
        self.is_expired = is_expired
        self.source = source  # the row, as its store gave it
        self._read = read
        self._record: JobRecord | None = None

    def __repr__(self) -> str:
        return f"<Claim {self.id} fence={self.fence} {self.task_path}>"

    @property
    def record(self) -> JobRecord:
        """The job as claimed."""
        if self._record is None:
            self._record = self._read(self.source)
        return self._record


# One or two of these for every job: tuples are made in a third of the time that dataclasses take.


class Succeeded(NamedTuple):
    """The attempt returned; `return_value` is a JSON text."""

    return_value: str


class Failed(NamedTuple):
    """The job has failed for good."""

    error: TaskError


class Retry(NamedTuple):
    """The attempt is over, and the job is due again in `delay` seconds.

    With an error it failed, which counts as a failure; without, it asked to come back later.
    """

    error: TaskError | None
    delay: float


Result = Succeeded | Failed | Retry


class Settlement(NamedTuple):
    """How the attempt of a claim ended."""

    id: UUID
    fence: int
    result: Result
    progress: str = ""

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
class Wanted:
    """What a worker would claim: up to `limit` jobs of these queues (None: of all).

    `after` says for each queue which key was claimed last, so that the search goes on from there
    instead of from the head, where the claimed jobs have left dead entries in the index. What lies
    before a key may not be seen, nor, of all queues, one that is not named: see `position`.

    A claim that `may_be_lost` need not outlive a crash of the database.
    """

    worker_id: str
    backend: str
    queues: Collection[str] | None
    limit: int
    after: Mapping[str, Key] = field(default_factory=lambda: HEAD)
    may_be_lost: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """What became of settlements, and the new claims, in the order of claiming.

    The moment is when jobs finished. What was refused was not the worker's any more. What would
    have run again, but was cancelled meanwhile, has ended instead.
    """

    refused: frozenset[UUID] = frozenset()
    moment: datetime | None = None
    claims: Sequence[Claim] = ()
    cancelled: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Look:
    """What there is for a worker: is anything ready, when is something due, is anything held up."""

    is_ready: bool
    seconds_until_due: float | None  # of the jobs that wait for their time
    is_held_up: bool  # by a limit or for a batch
