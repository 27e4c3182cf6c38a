"""How an attempt ended, and how that is written: an `Outcome` and what follows from it."""

from __future__ import annotations

import traceback
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from hosting.compat import Task, TaskError
from hosting.queues.hand import JobInHand
from hosting.queues.stores.codec import decode_optional
from hosting.queues.stores.duties import JobCancelled
from hosting.queues.stores.values import (
    Claim,
    Exchange,
    Failed,
    JobRecord,
    Result,
    Retry,
    Settlement,
    Succeeded,
)

#: The longest traceback that is kept (characters); of a longer one, both ends.
LONGEST_TRACEBACK = 64_000


class Ending(StrEnum):
    """What becomes of a job after an attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRYING = "retrying"
    SNOOZED = "snoozed"  # it will run again, and has not failed
    RELEASED = "released"  # ended early because its worker stops; it will run again

    @property
    def is_final(self) -> bool:
        """Whether the job does not run again."""
        return self in (Ending.SUCCEEDED, Ending.FAILED)


class Outcome:
    """How an attempt ended."""

    __slots__ = (
        *("delay", "ending", "error", "finished_at", "is_cancelled", "is_settled", "job"),
        *("kept", "return_value", "task"),
    )

    def __init__(
        self,
        job: JobInHand,
        ending: Ending,
        task: Task[..., Any] | None,  # None if there is no such task
        return_value: str = "",  # JSON
        error: BaseException | None = None,
        delay: float = 0.0,  # seconds until the next attempt
    ) -> None:
        self.job = job
        self.ending = ending
        self.task = task
        self.return_value = return_value
        self.error = error
        self.delay = delay
        self.finished_at: datetime | None = None
        self.is_settled = False
        self.is_cancelled = False  # has ended instead of running again
        self.kept: tuple[TaskError, ...] = ()  # what was stored before the error

    @property
    def claim(self) -> Claim:
        return self.job.claim

    @property
    def settlement(self) -> Settlement:
        """What is to be settled; not for an attempt whose claim is released."""
        claim = self.job.claim
        return Settlement(claim.id, claim.fence, self._result(), self.job.progress)

    @property
    def record(self) -> JobRecord:
        """The job's record as it is in the store once the end of the job was accepted."""
        record, result = self.claim.record, self._result()
        errors = [*self.kept, result.error] if isinstance(result, Failed) else []
        return replace(
            record,
            status=self.settlement.status,
            return_value=decode_optional(self.return_value),
            errors=(*record.errors, *errors),
            finished_at=self.finished_at,
            progress=self.job.progress or record.progress,
        )

    def failed(self, error: BaseException) -> Outcome:
        """The same attempt, if it is to have failed for good."""
        return Outcome(self.job, Ending.FAILED, self.task, error=error)

    def note(self, done: Exchange) -> None:
        """Note that it is stored, and what the store has made of it."""
        self.is_settled = True
        self.finished_at = done.moment
        self.is_cancelled = self.claim.id in done.cancelled

    def cancelled(self) -> Outcome:
        """The same attempt, if the job has ended instead of running again."""
        error = JobCancelled("It was cancelled while it ran.")
        outcome = self.failed(error)
        outcome.finished_at = self.finished_at
        if self.ending is Ending.RETRYING:
            outcome.kept = (_task_error(self.error or RuntimeError("it failed")),)
        return outcome

    def _result(self) -> Result:
        if self.ending is Ending.SUCCEEDED:
            return Succeeded(self.return_value)
        if self.ending is Ending.SNOOZED:
            return Retry(None, self.delay)
        error = _task_error(self.error or RuntimeError("it failed"))
        return Retry(error, self.delay) if self.ending is Ending.RETRYING else Failed(error)


def _task_error(error: BaseException) -> TaskError:
    text = "".join(traceback.format_exception(error))
    if len(text) > LONGEST_TRACEBACK:
        half = LONGEST_TRACEBACK // 2
        text = f"{text[:half]}\n[… {len(text) - 2 * half} characters …]\n{text[-half:]}"
    kind = type(error)
    return TaskError(exception_class_path=f"{kind.__module__}.{kind.__qualname__}", traceback=text)
