"""`Scheduler`: the service that enqueues scheduled tasks.

Any number of processes may run it, as for each slot one of them enqueues, and the others see that
it has been done. When a slot is due is judged by the database's clock alone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from hosting.cancellation import CancellationToken
from hosting.conf import load_settings
from hosting.exceptions import ConfigurationError
from hosting.queues.scheduling.declared import database_backends, declared_schedules, stores
from hosting.queues.scheduling.desk import Desk
from hosting.queues.scheduling.keeper import Keeper
from hosting.queues.wakeup import schedules_of, subscribed
from hosting.scope import refresh_connections
from hosting.services.base import BackgroundService

logger = logging.getLogger(__name__)

NO_BACKEND = (
    "TASKS has no backend whose BACKEND is 'hosting.queues.DatabaseBackend', which is needed to "
    "enqueue scheduled tasks"
)


class Scheduler(BackgroundService):
    """Enqueues tasks on the schedules of `HOSTING["SCHEDULE"]`, and those made at run time.

    It serves every database in which a backend of TASKS keeps its jobs.
    """

    _keepers: Sequence[Keeper] = ()

    def execute(self, stopping: CancellationToken) -> None:
        """Enqueue until `stopping` is cancelled; raises `ConfigurationError` without a backend."""
        desks = self._desks()
        kept = {desk.alias for desk in desks}
        bell = threading.Event()
        with ExitStack() as stack:
            stack.enter_context(stopping.register(bell.set))
            for desk in desks:
                stack.enter_context(subscribed(schedules_of(desk.alias), desk.ring(bell)))
            while not stopping.is_cancelled:
                bell.clear()
                pause = min(desk.serve() for desk in desks)
                # Whoever hears of a new job may have asked other databases.
                refresh_connections(kept)
                bell.wait(pause)

    def facts(self) -> Mapping[str, Any]:
        """How many schedules are not paused, and how many jobs were enqueued here."""
        return {
            "schedules": sum(keeper.count for keeper in self._keepers),
            "enqueued": sum(keeper.enqueued for keeper in self._keepers),
        }

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        problems = list(super().check_options(options))
        yield from problems
        if not problems and not list(database_backends()):
            yield NO_BACKEND

    def _desks(self) -> list[Desk]:
        found = stores()
        if not found:
            raise ConfigurationError(f"{NO_BACKEND}.")
        service = self.name or type(self).__name__
        declared = declared_schedules(load_settings().schedule.values())
        for problem in declared.problems:
            logger.error("%s", problem, extra={"service": service})
        keepers = [
            Keeper(
                service,
                store,
                declared.by_database.get(store.alias, ()),
                declared.impossible,
                declared.elsewhere(store.alias),
            )
            for store in found
        ]
        self._keepers = keepers
        return [Desk(service, keeper) for keeper in keepers]
