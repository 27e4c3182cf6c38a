"""What the project hosts and where: the content of `manage.py hosted_services`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.db import DatabaseError

from hosting import fleet
from hosting.conf import ServiceEntry, load
from hosting.process.autostart import Decision, decide
from hosting.process.facts import ProcessFacts, gather
from hosting.process.servers import NAMES, Role
from hosting.services.health import adds_to_state


@dataclass(frozen=True, slots=True)
class ListedService:
    """One declared service and where it runs now."""

    name: str
    service: str
    run_in: tuple[str, ...]
    restart: str
    stop_timeout: float | None
    singleton: bool
    enabled: bool
    options: Mapping[str, Any]
    running: tuple[Mapping[str, Any], ...] | None  # None: the database could not be asked

    def as_row(self) -> tuple[str, ...]:
        """The cells of the text table."""
        run_in = ", ".join(self.run_in) if self.enabled else "switched off"
        if self.singleton and self.enabled:
            run_in += " (one)"
        return (self.name, self.service, run_in, self.restart, ", ".join(self.running_now()))

    def running_now(self) -> tuple[str, ...]:
        """Where it runs now, in words: one for each copy."""
        if self.running is None:
            return ("unknown (is the database there and migrated?)",)
        copies = tuple(
            f"{_state(copy)} in {copy['kind']} {copy['pid']} on {copy['host_name']}"
            for copy in self.running
        )
        return copies or ("nowhere",)


@dataclass(frozen=True, slots=True)
class Launch:
    """A kind of process, and the decision of the start gate about it."""

    name: str
    decision: Decision

    def sentence(self) -> str:
        """The decision in words."""
        verb = "hosts" if self.decision.hosts else "does not host"
        return f"{self.name} {verb} services at start: {self.decision.reason}."


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that the command shows."""

    services: tuple[ListedService, ...]
    process: Launch
    facts: Mapping[str, Any]
    launches: tuple[Launch, ...]

    def as_json(self) -> dict[str, Any]:
        """The listing in JSON values."""
        return asdict(self)


def list_services() -> Listing:
    """The project's services and decisions; raises `ConfigurationError` for wrong settings."""
    declaration = load()
    running = _running()
    facts = gather()
    return Listing(
        services=tuple(_listed(entry, running) for entry in declaration.services),
        process=Launch("This process", decide(facts)),
        facts=asdict(facts),
        launches=tuple(Launch(name, decide(_usual(facts, name))) for name in _USUAL),
    )


#: What is told of each running copy.
COPY = ("kind", "host_name", "pid", "state", "condition", "reason", "beat_at")


def _state(copy: Mapping[str, Any]) -> str:
    """The state, and the condition where that tells more."""
    is_more = adds_to_state(copy["condition"])
    return f"{copy['state']}, {copy['condition']}," if is_more else copy["state"]


def _running() -> list[fleet.FleetService] | None:
    try:
        return fleet.services()
    except DatabaseError:
        return None


def _listed(entry: ServiceEntry, running: list[fleet.FleetService] | None) -> ListedService:
    copies = (
        None
        if running is None
        else tuple(
            {key: getattr(copy, key) for key in COPY} for copy in running if copy.name == entry.name
        )
    )
    return ListedService(
        name=entry.name,
        service=entry.path,
        run_in=tuple(sorted(entry.run_in)),
        restart=entry.restart,
        stop_timeout=entry.stop_timeout,
        singleton=entry.singleton,
        enabled=entry.enabled,
        options=entry.options,
        running=copies,
    )


#: Command line of a usual process -> what it changes in the facts of this one.
_USUAL: Mapping[str, Mapping[str, Any]] = {
    "manage.py runserver (the process that watches)": {"command": "runserver"},
    "manage.py runserver (the process that serves)": {
        "command": "runserver",
        "reloader_child": True,
    },
    "manage.py runserver --noreload": {"command": "runserver", "arguments": ("--noreload",)},
    "manage.py runworker": {"command": "runworker"},
    "manage.py migrate": {"command": "migrate"},
    **{
        f"{server} (a process that serves)": {
            "program": server,
            "command": None,
            "server": server,
            "role": Role.SERVES,
        }
        for server in NAMES
    },
    "gunicorn (the arbiter)": {
        "program": "gunicorn",
        "command": None,
        "server": "gunicorn",
        "role": Role.WATCHES,
    },
    "any other program": {"program": "program", "command": None},
}


def _usual(facts: ProcessFacts, name: str) -> ProcessFacts:
    neutral = replace(
        facts,
        arguments=(),
        reloader_child=False,
        under_test=False,
        server="",
        role=None,
        lifespan=False,
    )
    return replace(neutral, **_USUAL[name])
