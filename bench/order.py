"""What a trial is to do: sizes, and the subject that is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.peers.base import PLACE, Subject
from bench.place import Place

#: What a measure gives: numbers by name.
Numbers = Mapping[str, float]


class CannotBeMeasured(Exception):
    """Says why the subject has no such number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Sizes of one trial; `subject` is installed."""

    subject: Subject
    peer: str
    jobs: int  # to be drained, or enqueued
    waiting: int  # the large backlog
    samples: int  # of a latency
    idle_seconds: float
    snapshot_seconds: float
    limit: float  # seconds after which a drain or a latency makes do with what it has

    @property
    def place(self) -> Place:
        return PLACE

    def require(self, job: str) -> None:
        """Raises `CannotBeMeasured` if the subject has no such job."""
        if reason := self.subject.lacks(job):
            raise CannotBeMeasured(reason)
