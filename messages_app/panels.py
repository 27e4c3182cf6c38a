"""What the page tells of the services, from what the live processes have told the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from hosting.fleet import FleetService
from hosting.services.health import trouble
from messages_app.services import ScopedHostedService, TimedHostedService


@dataclass(frozen=True, slots=True)
class Part:
    """One service class on a panel: its name, what it does, and the words for its facts."""

    service: str
    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Copy:
    """One process's copy of a service."""

    name: str
    state: str
    since: datetime | None
    process: str
    restarts: int
    trouble: str  # of a copy that runs, but not as it should
    error: str | None
    facts: list[tuple[str, Any]]
    failures: int


@dataclass(frozen=True, slots=True)
class Group:
    """A part and the copies of it that live now."""

    service: str
    text: str
    copies: list[Copy]


@dataclass(frozen=True, slots=True)
class Panel:
    id: str
    title: str
    groups: list[Group]


PARTS: Mapping[str, tuple[str, tuple[Part, ...]]] = {
    "timed": (
        "Timed",
        (
            Part(
                "TimedHostedService",
                f"Ticks at once, then every {TimedHostedService.interval:g} seconds, and logs how "
                "often. Ticks never overlap.",
                {"count": "ticks", "last": "last tick"},
            ),
        ),
    ),
    "scoped": (
        "Scoped",
        (
            Part(
                "ScopedHostedService",
                f"Opens a scope every {ScopedHostedService.interval:g} seconds, with database "
                "connections of its own, and counts the messages.",
                {"count": "iterations", "last": "last one"},
            ),
        ),
    ),
    "queued": (
        "Queued",
        (
            Part(
                "QueuedHostedService",
                "Executes the work items in the memory of its own process. They end with that "
                "process.",
                {"waiting": "waiting", "running": "running", "executed": "executed"},
            ),
            Part(
                "TaskWorker",
                "Executes the jobs in the database, from whichever process they come. Jobs outlive "
                "every process.",
                {"running": "running", "executed": "executed"},
            ),
        ),
    ),
}


def panels(services: Iterable[FleetService]) -> list[Panel]:
    """The panels of the page, with every live copy of the services that they are about."""
    found: dict[str, list[FleetService]] = {}
    for service in services:
        # By class name: an entry may name the class where it is defined or where it is exported.
        found.setdefault(service.service.rpartition(".")[2], []).append(service)
    return [
        Panel(id, title, [_group(part, found.get(part.service, [])) for part in parts])
        for id, (title, parts) in PARTS.items()
    ]


def _group(part: Part, services: list[FleetService]) -> Group:
    ordered = sorted(services, key=lambda each: (each.kind, each.host_name, each.pid, each.name))
    return Group(part.service, part.text, [_copy(each, part.labels) for each in ordered])


def _copy(service: FleetService, labels: Mapping[str, str]) -> Copy:
    return Copy(
        name=service.name,
        state=service.state,
        since=service.since,
        process=f"{service.kind} process {service.pid} on {service.host_name}",
        restarts=service.restarts,
        trouble=trouble(service.condition, service.reason),
        error=service.last_error,
        facts=[(label, _fact(service.facts.get(key))) for key, label in labels.items()],
        failures=service.facts.get("failures") or service.facts.get("failed") or 0,
    )


def _fact(value: Any) -> Any:
    """Facts are JSON: a text among them is a moment."""
    return parse_datetime(value) if isinstance(value, str) else value
