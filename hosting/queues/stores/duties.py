"""The contract for what is done with jobs beside adding, claiming and settling them.

Upkeep is what any process may do at any time, beside others that do the same: rows that another
holds are passed over, and every step takes at most `BATCH` rows, so that none holds them for long.
Control is what people do with jobs from outside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from hosting.compat import TaskError, TaskResultStatus
from hosting.exceptions import HostingError
from hosting.queues.stores.values import Failed, Settlement

#: How many rows one step takes at most.
BATCH = 500

#: How many claims of a job may end with their process before it is buried.
MAX_DEATHS = 3

#: From how many on it runs as the only such job of its process, so that no other dies of it.
SUSPECT = MAX_DEATHS - 1


class WorkerLost(HostingError):
    """The processes that executed the job have ended, or were cut off, before it had ended."""


class JobCancelled(HostingError):
    """Somebody cancelled the job."""


@dataclass(frozen=True, slots=True)
class Rescue:
    """What a sweep found: jobs given back, those that killed too many workers, those cancelled."""

    given_back: tuple[UUID, ...] = ()
    buried: tuple[UUID, ...] = ()
    cancelled: tuple[UUID, ...] = ()

    @property
    def count(self) -> int:
        """How many jobs there were in all."""
        return len(self.given_back) + len(self.buried) + len(self.cancelled)


class Upkeep(ABC):
    """Upkeep of the jobs in one store."""

    @abstractmethod
    def promote(self) -> int:
        """Let go on whose time has come, to be claimed or to pass its limit; returns how many."""

    @abstractmethod
    def admit(self) -> tuple[int, float | None]:
        """Make ready what limits allow; how many, and seconds until a rate allows another."""

    @abstractmethod
    def release_held(self) -> int:
        """Let go on what waits for the end of a batch of which nothing is left; how many."""

    @abstractmethod
    def renew(self, process: str, seconds: float) -> None:
        """Say that this process lives, and that its claims are its own for so many seconds."""

    @abstractmethod
    def retire(self, process: str) -> None:
        """Say that this process claims nothing any more."""

    @abstractmethod
    def rescue(self) -> Rescue:
        """Give back jobs whose process is gone, or end those that were there too often.

        Those that were cancelled end too.

        The first time, nobody knows which of the jobs that a process held has killed it. From then
        on they say when they begin (`begin`), and only those that had begun are counted.
        """

    @abstractmethod
    def begin(self, job_id: UUID, fence: int) -> bool:
        """Note that an attempt begins whose job may have killed a worker; False if refused."""

    @abstractmethod
    def acquit(self, job_id: UUID, fence: int) -> None:
        """Note that an attempt that has begun is over, and has killed nobody."""

    @abstractmethod
    def note_progress(self, job_id: UUID, fence: int, progress: str) -> bool:
        """Note how far an attempt is; False if refused."""

    @abstractmethod
    def prune(self, backend: str, retention: Mapping[TaskResultStatus, float | None]) -> int:
        """Delete results older than so many seconds, by status (None: never), in one batch each.

        Returns how many the largest of these batches has deleted.
        """


class Control(ABC):
    """Steers the jobs in one store; the methods return the ids that they changed."""

    @abstractmethod
    def cancel(self, ids: Collection[UUID]) -> set[UUID]:
        """End jobs that do not run; ask those that run to end."""

    @abstractmethod
    def asked_to_end(self, process: str) -> set[UUID]:
        """The jobs that this process holds and somebody has cancelled."""

    @abstractmethod
    def retry(self, ids: Collection[UUID]) -> set[UUID]:
        """Run jobs that have failed once more, with a new count of failures; errors are kept.

        A job whose unique key another has taken meanwhile is left as it is.
        """

    @abstractmethod
    def discard(self, ids: Collection[UUID]) -> set[UUID]:
        """Forget jobs that do not run, and results."""

    @abstractmethod
    def hasten(self, ids: Collection[UUID]) -> set[UUID]:
        """Have jobs that wait for their time due now; their limits still hold."""

    @abstractmethod
    def pause_queue(self, backend: str, name: str) -> bool:
        """Have no job of the queue claimed until it is resumed; False if it is paused already."""

    @abstractmethod
    def resume_queue(self, backend: str, name: str) -> bool:
        """Let the jobs of a queue be claimed again; False if it is not paused."""

    @abstractmethod
    def paused_queues(self, backend: str) -> frozenset[str]:
        """The names of the queues that are paused."""


def burial(job_id: UUID, fence: int, reason: type[HostingError], words: str) -> Settlement:
    """The end of a job that is to end without an attempt of its own."""
    path = f"{reason.__module__}.{reason.__qualname__}"
    error = TaskError(exception_class_path=path, traceback=f"{path}: {words}\n")
    return Settlement(job_id, fence, Failed(error))
