"""The states of a service and the moves between them; nothing else decides what is legal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from hosting.services.health import Condition


class ServiceState(StrEnum):
    """Where a service is in its life."""

    CREATED = "created"
    STARTING = "starting"
    STANDBY = "standby"  # another process of the fleet has its lease
    RUNNING = "running"
    RESTARTING = "restarting"  # crashed, waiting to be run again
    COMPLETED = "completed"  # `execute` returned: a normal end
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"

    def may_become(self, new: ServiceState) -> bool:
        """Whether a service in this state may enter the state `new`."""
        return new in _MOVES[self]

    @property
    def is_healthy(self) -> bool:
        """Whether nobody needs to look at a service in this state."""
        return self not in (ServiceState.RESTARTING, ServiceState.FAILED)


_MOVES: Mapping[ServiceState, frozenset[ServiceState]] = {
    ServiceState.CREATED: frozenset({ServiceState.STARTING, ServiceState.STOPPING}),
    ServiceState.STARTING: frozenset(
        {
            ServiceState.STANDBY,
            ServiceState.RUNNING,
            ServiceState.FAILED,
            ServiceState.STOPPING,
        }
    ),
    ServiceState.STANDBY: frozenset(
        {ServiceState.STARTING, ServiceState.FAILED, ServiceState.STOPPING}
    ),
    ServiceState.RUNNING: frozenset(
        {
            ServiceState.STANDBY,
            ServiceState.RESTARTING,
            ServiceState.COMPLETED,
            ServiceState.FAILED,
            ServiceState.STOPPING,
        }
    ),
    ServiceState.RESTARTING: frozenset(
        {
            ServiceState.STANDBY,
            ServiceState.RUNNING,
            ServiceState.FAILED,
            ServiceState.STOPPING,
        }
    ),
    ServiceState.COMPLETED: frozenset({ServiceState.STANDBY, ServiceState.STOPPING}),
    ServiceState.FAILED: frozenset({ServiceState.STOPPING}),
    ServiceState.STOPPING: frozenset({ServiceState.STOPPED, ServiceState.FAILED}),
    ServiceState.STOPPED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """What is known of one service at one moment."""

    name: str
    service: str  # dotted path of the class
    state: ServiceState
    since: datetime  # when it entered that state
    ready: bool
    restarts: int  # how often it was run again after it had ended
    last_error: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)  # what the service reports of itself
    reports_ready: bool = False  # whether it is ready only once it says so
    condition: Condition = Condition.HEALTHY
    reason: str = ""  # for the condition
    beat_at: datetime | None = None  # its last sign of life

    @property
    def is_healthy(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.condition.is_healthy
