"""How a service is: what is said of its health, beside where it is in its life."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """How a service is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"  # it says so itself
    STUCK = "stuck"  # it has given no sign of life within its watchdog
    DOWN = "down"  # it crashed, and is run again or has failed for good

    @property
    def is_healthy(self) -> bool:
        """Whether nobody needs to look at a service in this condition."""
        return self is Condition.HEALTHY


def adds_to_state(condition: str) -> bool:
    """Whether it tells more than the state of the service does."""
    return condition not in (Condition.HEALTHY, Condition.DOWN)


def trouble(condition: str, reason: str) -> str:
    """What is the matter with a service that runs, "" if its state says as much."""
    return f"{condition}: {reason}" if adds_to_state(condition) else ""


@dataclass(frozen=True, slots=True)
class Health:
    """The condition of a service, and why; without a reason if it is healthy."""

    condition: Condition = Condition.HEALTHY
    reason: str = ""
