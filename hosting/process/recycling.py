"""`hosting:recycling`: ends a worker that has executed many jobs, or has grown, for another's sake.

Code that leaks does so slowly, and a fresh process is the cure. The worker itself notices that it
is time: it claims no more jobs, lets those in hand end, however long they take, and then stops with
the exit code that asks for a replacement (`exits.RECYCLE`). So no job is cut short by it, or runs
twice.

Jobs are counted where their outcomes have been stored, which is once for many of them. The memory
is looked at once a second.

A singleton has a new instance for each of its terms, so the workers are those of the host at the
moment. Whoever begins a term is counted as well, and claims nothing if the end has begun.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hosting.cancellation import CancellationToken
from hosting.exceptions import ConfigurationError
from hosting.process.memory import MB, resident
from hosting.queues.worker import TaskWorker
from hosting.services import BackgroundService
from hosting.signals import service_state_changed

logger = logging.getLogger(__name__)

#: Seconds between two looks at the memory.
MEMORY_LOOK = 1.0

#: Seconds between two looks whether the jobs in hand have ended.
END_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may have done and taken before it is to be replaced; None: anything."""

    jobs: int | None = None  # executed attempts
    memory: int | None = None  # MB of the resident set

    def __bool__(self) -> bool:
        return self.jobs is not None or self.memory is not None


class Recycling(BackgroundService):
    """Recycles this process once a limit is reached; `watch` says where its workers are found."""

    def __init__(
        self,
        limits: Limits,
        *,
        memory: Callable[[], int] = resident,
        pick: Callable[[int], int] = random.randrange,
    ) -> None:
        self._memory_limit = limits.memory
        # Processes that share the work would all reach the same number at the same time.
        self._jobs = None if limits.jobs is None else limits.jobs + pick(limits.jobs // 10 + 1)
        self._memory = memory
        self._present: Callable[[], Sequence[TaskWorker]] = list
        self._workers: Sequence[TaskWorker] = ()
        self._executed_before = 0  # by workers that are here no more
        self._changing = threading.Lock()
        self._enough = CancellationToken()
        self._is_ending = False

    def watch(self, present: Callable[[], Sequence[TaskWorker]]) -> None:
        """Count the jobs of the workers of the moment, and have them end before the process does.

        `present` tells which they are, from any thread.
        """
        self._present = present
        self._look_round()

    def judge(self) -> None:
        """Raise `ConfigurationError` if the memory is too much already, as it would be again."""
        if (taken := self._excess()) is not None:
            raise ConfigurationError(
                f"--max-memory is {self._memory_limit} MB, and this process takes {taken} MB "
                "before its first job, allowed: more than that."
            )

    def start(self, cancel: CancellationToken) -> None:
        """Judge once more, as the services before this one may have taken some."""
        self.judge()
        # Tells of the term of a singleton before its `start` is called.
        service_state_changed.connect(self._look_round)

    def close(self) -> None:
        """Hear of no more terms."""
        service_state_changed.disconnect(self._look_round)

    def execute(self, stopping: CancellationToken) -> None:
        """Wait until a limit is reached, then end the work and have this process replaced."""
        reason = self._wait_for_reason(stopping)
        if reason is None:
            return
        logger.info("%s: claims no more jobs, ends those in hand, and is replaced", reason)
        self._is_ending = True
        while not all(worker.is_done for worker in self._look_round()):
            if stopping.wait(END_LOOK):
                return
        self.lifetime.recycle(reason)

    def _look_round(self, **_: object) -> Sequence[TaskWorker]:
        """The workers of the moment; those that are new have heard what they are to do."""
        with self._changing:
            before, self._workers = self._workers, self._present()
            self._executed_before += sum(
                worker.executed for worker in before if worker not in self._workers
            )
            for worker in self._workers:
                if self._jobs is not None and worker not in before:
                    worker.when_executed(self._count)
                if self._is_ending:
                    worker.claim_no_more()
            return self._workers

    def _count(self) -> None:
        if self._jobs is not None and self._executed() >= self._jobs:
            self._enough.cancel()

    def _executed(self) -> int:
        return self._executed_before + sum(worker.executed for worker in self._workers)

    def _excess(self) -> int | None:
        """The MB that this process takes, if they are more than it may."""
        if self._memory_limit is None:
            return None
        taken = self._memory() // MB
        return taken if taken > self._memory_limit else None

    def _wait_for_reason(self, stopping: CancellationToken) -> str | None:
        """Why this process is to be replaced; None if it is to stop."""
        either = CancellationToken(stopping, self._enough)
        pause = None if self._memory_limit is None else MEMORY_LOOK
        while not either.wait(pause):
            if (taken := self._excess()) is not None:
                return f"this process takes {taken} MB of memory"
        return None if stopping.is_cancelled else f"{self._executed()} jobs were executed"
