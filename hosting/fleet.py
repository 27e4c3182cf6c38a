"""The processes that host services, as seen through the database.

Each host writes one row about itself and its services, and renews it while it lives; a row that was
not renewed for a while is of a process that died. The database's clock judges, never a process's.
"""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import Error, models
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime

from hosting.cancellation import CancellationToken
from hosting.ids import process_name
from hosting.queues.stores import store_for
from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.remote import GLANCE, Remote
from hosting.scope import Scope
from hosting.services import BackgroundService, Condition, ServiceState, ServiceStatus
from hosting.signals import service_condition_changed, service_state_changed
from hosting.version import VERSION

logger = logging.getLogger(__name__)

#: Seconds between two renewals of a row.
BEAT = 10.0

#: Seconds that the database has for one, so that a stop need not wait for it for long.
PATIENCE = 3.0

#: Seconds after which a row that was not renewed no longer counts.
STALE_AFTER = timedelta(seconds=30)

#: After which its process is given up for dead, and the row deleted by any other.
DEAD_AFTER = timedelta(seconds=60)

#: Seconds between two looks for such rows, of which chance adds up to as many again.
LOOK = 20.0

#: After these a row is renewed at once.
NEWS = (service_state_changed, service_condition_changed)


@dataclass(frozen=True, slots=True)
class FleetService:
    """One service in one process of the fleet."""

    name: str
    service: str  # dotted path of the class
    state: str
    since: datetime | None
    ready: bool
    restarts: int
    last_error: str | None
    facts: Mapping[str, Any]
    kind: str  # "web" or "worker"
    host_name: str
    pid: int
    seen_at: datetime
    condition: str = Condition.HEALTHY
    reason: str = ""  # for the condition
    beat_at: datetime | None = None  # its last sign of life

    @property
    def is_healthy(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.condition == Condition.HEALTHY


def services() -> list[FleetService]:
    """The services of every living process, in the order of the processes' start."""
    living = _rows().filter(seen_at__gt=ago(STALE_AFTER)).order_by("started_at", "id")
    return [_service(row, status) for row in living for status in told_in(row.services)]


def told_in(services: str) -> list[Mapping[str, Any]]:
    """What the row of a process tells of its services; nothing if that is damaged."""
    try:
        found = json.loads(services)
    except (ValueError, RecursionError):
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def within(seconds: float) -> AbstractContextManager[None]:
    """Give the database so many seconds for what is asked of the fleet in the block."""
    return store_for(_rows().db).deadline(seconds)


class FleetReporter(BackgroundService):
    """Keeps the row of this process; a database that is away or has no table yet stops nobody."""

    def __init__(
        self,
        kind: str,
        statuses: Callable[[], list[ServiceStatus]],
        remote: Remote | None = None,
    ) -> None:
        self._kind = kind
        self._statuses = statuses
        self._remote = remote
        self._heeds = False
        self._id = process_name()
        self._trouble = False
        self._look_at = 0.0
        self._wake_up = CancellationToken()

    def start(self, cancel: CancellationToken) -> None:
        for signal in NEWS:
            signal.connect(self._changed)

    def close(self) -> None:
        for signal in NEWS:
            signal.disconnect(self._changed)

    def execute(self, stopping: CancellationToken) -> None:
        while not stopping.is_cancelled:
            self._wake_up = CancellationToken(stopping)
            self._guarded(self._renew)
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK * (1 + random.random())
                self._guarded(self._remove_dead)
            self._wait()
        self._guarded(self._delete)

    def _wait(self) -> None:
        """Wait for the next beat; while there is a reason to, look what is asked meanwhile."""
        until = time.monotonic() + BEAT
        while not self._wake_up.is_cancelled and (left := until - time.monotonic()) > 0:
            if self._heeds:
                self._guarded(self._heed)
            self._wake_up.wait(min(left, GLANCE) if self._heeds else left)

    def _heed(self) -> None:
        if self._remote is not None:
            self._remote.heed(self._id)

    def _changed(self, **_: Any) -> None:
        self._wake_up.cancel()

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            with Scope(), within(PATIENCE):
                action()
            self._trouble = False
        except Error as error:
            if not self._trouble:
                logger.warning(
                    "The row of this process cannot be written (is hosting migrated?): %s",
                    error,
                    extra={"service": self.name},
                )
            self._trouble = True

    def _renew(self) -> None:
        statuses = self._statuses()
        told = {
            "kind": self._kind,
            "services": f"[{', '.join(map(_as_json, statuses))}]",
            "is_standing_by": any(each.state is ServiceState.STANDBY for each in statuses),
            "seen_at": Now(),
        }
        # The statement of every beat tells whether there is a reason to look what is asked, too.
        row = _rows().filter(pk=self._id)
        is_left_alone = models.Q(heeds_until=None) | models.Q(heeds_until__lt=DatabaseNow())
        self._heeds = not row.filter(is_left_alone).update(**told)
        if not self._heeds or row.update(**told):
            return
        self._heeds = False
        new = _rows().model(
            pk=self._id,
            host_name=socket.gethostname()[:255],
            pid=os.getpid(),
            version=VERSION,
            started_at=Now(),
            **told,
        )
        # A worker of this process may write the row at the same moment, to keep its claims.
        _rows().bulk_create([new], ignore_conflicts=True)
        row.update(**told)

    def _remove_dead(self) -> None:
        """Delete the rows of the dead; whoever deletes one, tells of it."""
        holds = models.Q(alive_until__gt=DatabaseNow())  # claims of jobs, for longer than usual
        dead = _rows().filter(seen_at__lt=ago(DEAD_AFTER)).exclude(holds)
        for row in dead:
            if dead.filter(pk=row.pk).delete()[0]:
                logger.warning(
                    "%s has died, or is cut off: it was last seen %s",
                    row,
                    row.seen_at,
                    extra={"service": self.name, "worker": row.pk},
                )

    def _delete(self) -> None:
        # While a worker of this process has jobs in hand, its row keeps them its own.
        job = apps.get_model("hosting", "Job")._base_manager
        held = job.filter(claimed_by=self._id, state="running")
        if not _rows().filter(~models.Exists(held), pk=self._id).delete()[0]:
            _rows().filter(pk=self._id).update(services="[]", is_standing_by=False)


def _rows() -> models.Manager[Any]:
    # The model is looked up late: this module is imported while apps still load.
    return apps.get_model("hosting", "HostProcess")._default_manager


def _as_json(status: ServiceStatus) -> str:
    # What a service reports of itself may hold any value; the row must be written all the same.
    try:
        return json.dumps(asdict(status), default=str, skipkeys=True)
    except Exception as error:
        return json.dumps(asdict(replace(status, facts={"error": repr(error)})), default=str)


def _service(row: Any, status: Mapping[str, Any]) -> FleetService:
    # A process of another version may tell more, or less.
    since, beat_at = status.get("since"), status.get("beat_at")
    state = status.get("state", "unknown")
    is_down = state in (ServiceState.RESTARTING, ServiceState.FAILED)
    return FleetService(
        name=status.get("name", ""),
        service=status.get("service", ""),
        state=state,
        since=parse_datetime(since) if since else None,
        ready=status.get("ready", False),
        restarts=status.get("restarts", 0),
        last_error=status.get("last_error"),
        facts=status.get("facts", {}),
        kind=row.kind,
        host_name=row.host_name,
        pid=row.pid,
        seen_at=row.seen_at,
        condition=status.get("condition", Condition.DOWN if is_down else Condition.HEALTHY),
        reason=status.get("reason", ""),
        beat_at=parse_datetime(beat_at) if beat_at else None,
    )
