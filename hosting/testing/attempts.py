"""What a drain has done: one `Attempt` for each attempt of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.stores.codec import decode_optional


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of one job, and how it has ended.

    `ending` is "succeeded", "failed" (for good), "retrying" (it has failed and will be attempted
    again), "snoozed", or "released" (another has taken the claim meanwhile).
    """

    id: str
    task_path: str
    args: list[Any]
    kwargs: dict[str, Any]
    queue_name: str
    ending: str
    return_value: Any = None
    error: BaseException | None = None

    @classmethod
    def of(cls, outcome: Outcome) -> Attempt:
        """The attempt that has this outcome, which is stored."""
        record = outcome.claim.record
        cut_short = outcome.is_cancelled and outcome.ending is not Ending.SUCCEEDED
        ending = Ending.FAILED if cut_short else outcome.ending
        return cls(
            id=str(record.id),
            task_path=record.task_path,
            args=record.args,
            kwargs=record.kwargs,
            queue_name=record.queue_name,
            ending=str(ending),
            return_value=decode_optional(outcome.return_value),
            error=outcome.error,
        )


class Drained(list[Attempt]):
    """The attempts that a drain has made, in their order."""

    @property
    def errors(self) -> list[BaseException]:
        """What the attempts have raised."""
        return [attempt.error for attempt in self if attempt.error is not None]
