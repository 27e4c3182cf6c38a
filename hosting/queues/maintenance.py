"""Rescues jobs of dead processes and prunes results, now and then, on a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from django.db import Error, connections

from hosting.cancellation import CancellationToken
from hosting.compat import TaskResultStatus
from hosting.context import log_fields
from hosting.queues.outage import PATIENCE
from hosting.queues.presence import RENEWALS
from hosting.queues.stores.base import Store
from hosting.queues.stores.duties import BATCH
from hosting.queues.wakeup import wake_all
from hosting.scope import Scope
from hosting.signals import jobs_rescued
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: Seconds between two looks for results that are old enough to be deleted.
PRUNING = 60.0


class Maintenance:
    """Looks after the jobs in one store until it is closed.

    A process that is dead for `dead_after` seconds is noticed after a sixth of that at the latest.
    """

    def __init__(
        self,
        store: Store,
        backend: str,
        dead_after: float,
        retention: Mapping[TaskResultStatus, float | None],
    ) -> None:
        self._store = store
        self._upkeep = store.upkeep
        self._backend = backend
        self._interval = dead_after / RENEWALS
        self._retention = retention
        self._closing = CancellationToken()
        self._is_failing = False

    def begin(self) -> None:
        """Begin, on a thread."""
        self._thread = ServiceThread(f"hosting:maintenance:{self._store.alias}", self._run)

    def close(self) -> None:
        """End after the batch in hand; waits a moment for that."""
        self._closing.cancel()
        self._thread.part()

    def _run(self) -> None:
        since_pruning = PRUNING
        while not self._closing.is_cancelled:
            self._in_batches(self._rescue)
            if since_pruning >= PRUNING:
                self._in_batches(self._prune)
                since_pruning = 0.0
            self._closing.wait(self._interval)
            since_pruning += self._interval

    def _in_batches(self, step: Callable[[], int]) -> None:
        """Repeat the step until it finds less than a batch."""
        try:
            while not self._closing.is_cancelled:
                with Scope(), self._store.deadline(PATIENCE):
                    if step() < BATCH:
                        break
            self._is_failing = False
        except Error as error:
            connections[self._store.alias].close()
            if not self._is_failing:
                logger.warning(
                    "Maintenance of %r has failed: %s",
                    self._store.alias,
                    error,
                    extra=log_fields(),
                )
            self._is_failing = True

    def _rescue(self) -> int:
        rescue = self._upkeep.rescue()
        if rescue.count:
            jobs_rescued.send_robust(type(self._store), rescue=rescue)
        if rescue.given_back:
            logger.warning(
                "%d jobs run again, as the processes that held them are gone",
                len(rescue.given_back),
                extra=log_fields(),
            )
        for job_id in rescue.buried:
            logger.error(
                "Job %s has failed: the processes that executed it have ended before it did",
                job_id,
                extra={**log_fields(), "job": str(job_id)},
            )
        for job_id in rescue.cancelled:
            logger.warning(
                "Job %s has ended: it was cancelled, and the process that held it is gone",
                job_id,
                extra={**log_fields(), "job": str(job_id)},
            )
        if rescue.given_back:
            wake_all(self._store)
        return rescue.count

    def _prune(self) -> int:
        return self._upkeep.prune(self._backend, self._retention)
