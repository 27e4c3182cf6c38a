"""Whether the fleet does what the project declares, as its processes have told the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hosting.conf import Declaration, ServiceEntry
from hosting.fleet import FleetService
from hosting.services import ServiceState

#: In these states a copy does not count as one that runs.
ENDED = (ServiceState.STOPPING, ServiceState.STOPPED)


@dataclass(frozen=True, slots=True)
class FleetHealth:
    """The processes that were seen, each as "worker 4711 on web-1", and what is the matter."""

    processes: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether nothing is the matter."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """The verdict in JSON values."""
        return {
            "status": "ok" if self.is_good else "failing",
            "reasons": list(self.reasons),
            "processes": list(self.processes),
        }


def judge_fleet(declaration: Declaration, running: Sequence[FleetService]) -> FleetHealth:
    """Whether all that is declared runs somewhere, and all that runs is healthy; pure."""
    processes = dict.fromkeys(map(_process, running))
    enabled = [entry for entry in declaration.services if entry.enabled]
    reasons = [*_missing(enabled, running), *_unhealthy(running)]
    return FleetHealth(tuple(processes), tuple(reasons))


def _missing(entries: Iterable[ServiceEntry], running: Sequence[FleetService]) -> Iterator[str]:
    for entry in entries:
        states = {copy.state for copy in running if copy.name == entry.name} - {*ENDED}
        if not states:
            yield f"{entry.name} runs nowhere"
        elif states == {ServiceState.STANDBY}:
            yield f"{entry.name} runs nowhere: its processes stand by, and none has its lease"


def _unhealthy(running: Iterable[FleetService]) -> Iterator[str]:
    for copy in running:
        if not copy.is_healthy:
            reason = copy.reason + (f" ({copy.last_error})" if _is_told(copy) else "")
            yield f"{copy.name} in {_process(copy)} is {copy.condition}: {reason}"


def _is_told(copy: FleetService) -> bool:
    return copy.condition == "down" and bool(copy.last_error)


def _process(copy: FleetService) -> str:
    return f"{copy.kind} {copy.pid} on {copy.host_name}"
