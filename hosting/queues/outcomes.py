"""How an attempt ended, and how that is written: an `Outcome` and what follows from it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from hosting.compat import Task, TaskError
from hosting.queues.stores.base import (
    Claim,
    Failed,
    JobRecord,
    Result,
    Retry,
    Settlement,
    Succeeded,
)
from hosting.queues.stores.codec import decode_optional

#: The longest traceback that is kept (characters); of a longer one, both ends.
LONGEST_TRACEBACK = 64_000


class Ending(StrEnum):
    """What becomes of a job after an attempt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRYING = "retrying"
    RELEASED = "released"  # ended early because it was asked to; it will run again


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended, and whether the store accepted it."""

    claim: Claim
    ending: Ending
    task: Task[..., Any] | None = None  # None if there is no such task
    return_value: str = ""  # JSON
    error: BaseException | None = None
    delay: float = 0.0  # seconds until the next attempt
    accepted: bool = False
    finished_at: datetime | None = None

    @property
    def settlement(self) -> Settlement:
        """What is to be settled; not for an attempt whose claim is released."""
        return Settlement(self.claim.id, self.claim.fence, self._result())

    @property
    def record(self) -> JobRecord:
        """The job's record as it is in the store once the end of the job was accepted."""
        record, result = self.claim.record, self._result()
        errors = [result.error] if isinstance(result, Failed) else []
        return replace(
            record,
            status=self.settlement.status,
            return_value=decode_optional(self.return_value),
            errors=(*record.errors, *errors),
            finished_at=self.finished_at,
            claimed_by="",
        )

    def _result(self) -> Result:
        if self.error is None:
            return Succeeded(self.return_value)
        error = _task_error(self.error)
        return Retry(error, self.delay) if self.ending is Ending.RETRYING else Failed(error)


def _task_error(error: BaseException) -> TaskError:
    text = "".join(traceback.format_exception(error))
    if len(text) > LONGEST_TRACEBACK:
        half = LONGEST_TRACEBACK // 2
        text = f"{text[:half]}\n[… {len(text) - 2 * half} characters …]\n{text[-half:]}"
    kind = type(error)
    return TaskError(exception_class_path=f"{kind.__module__}.{kind.__qualname__}", traceback=text)
