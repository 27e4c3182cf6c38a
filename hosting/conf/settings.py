"""`HOSTED_SERVICES`, `HOSTING` and the services that apps ship, read once into frozen dataclasses.

`judge()` is the one function that decides what is right. The system checks print its problems, and
`load()` raises the same words when a host is to start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.conf import settings

from hosting.conf import values
from hosting.conf.entries import EntryJudge, ServiceEntry, SwitchedOff
from hosting.conf.problems import Problem, allowed_names
from hosting.conf.schedule import ScheduleEntry, by_name, judge_schedules
from hosting.exceptions import ConfigurationError

Report = Callable[[Problem], None]


@dataclass(frozen=True, slots=True)
class HostingSettings:
    """The meaning of `HOSTING`; times in seconds."""

    autostart: bool | None = None  # None: "auto"
    startup_timeout: float | None = None
    shutdown_timeout: float = 5.0
    start_concurrently: bool = False
    stop_concurrently: bool = False
    max_restarts: int = 5
    restart_period: float = 60.0
    lease_timeout: float = 15.0
    schedule: Mapping[str, ScheduleEntry] = field(default_factory=dict)
    metrics: bool = False
    tracing: bool = False


#: The longest LEASE_TIMEOUT, in seconds. Nobody means more, and clocks and databases have an end.
DAY = 86_400

KEYS: Mapping[str, values.Judge] = {
    "AUTOSTART": values.autostart,
    "STARTUP_TIMEOUT": values.or_none(values.positive_seconds),
    "SHUTDOWN_TIMEOUT": values.seconds,
    "START_CONCURRENTLY": values.boolean,
    "STOP_CONCURRENTLY": values.boolean,
    "MAX_RESTARTS": values.count,
    "RESTART_PERIOD": values.positive_seconds,
    "LEASE_TIMEOUT": values.seconds_between(1, DAY),
    "SCHEDULE": by_name,
    "METRICS": values.switch_for("prometheus_client", "prometheus"),
    "TRACING": values.switch_for("opentelemetry.trace", "opentelemetry"),
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that the project declares: its settings, and its services in starting order."""

    settings: HostingSettings
    services: tuple[ServiceEntry, ...]

    def hosted_in(self, kind: str) -> tuple[ServiceEntry, ...]:
        """The enabled services that a process of this kind ("web" or "worker") hosts."""
        return tuple(entry for entry in self.services if entry.enabled and kind in entry.run_in)


def load() -> Declaration:
    """The project's declaration; raises `ConfigurationError` listing every problem."""
    declaration, problems = judge()
    if problems:
        raise ConfigurationError("\n".join(map(str, problems)))
    return declaration


def load_settings() -> HostingSettings:
    """The `HOSTING` setting alone, which imports no service; raises `ConfigurationError`."""
    problems: list[Problem] = []
    found = _judge_hosting(getattr(settings, "HOSTING", {}), problems.append)
    if problems:
        raise ConfigurationError("\n".join(map(str, problems)))
    return found


def judge() -> tuple[Declaration, list[Problem]]:
    """Read everything that is declared; gives what is sound and what is wrong."""
    problems: list[Problem] = []
    hosting = _judge_hosting(getattr(settings, "HOSTING", {}), problems.append)
    shipped: dict[str, ServiceEntry] = {}
    for config in apps.get_app_configs():
        where = f"{type(config).__name__}.hosted_services"
        raw = getattr(config, "hosted_services", [])
        _merge_shipped(shipped, _judge_list(raw, where, problems.append), problems.append)
    own = _judge_list(getattr(settings, "HOSTED_SERVICES", []), "HOSTED_SERVICES", problems.append)
    services = _merge_own(shipped, own, problems.append)
    return Declaration(hosting, tuple(services.values())), problems


def _judge_hosting(raw: Any, report: Report) -> HostingSettings:
    if not isinstance(raw, dict):
        report(Problem("hosting.E020", "HOSTING", f"is {raw!r}, allowed: a dict"))
        return HostingSettings()
    found: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in KEYS:
            matter = f"unknown key {key!r}, {allowed_names(key, KEYS)}"
            report(Problem("hosting.E021", "HOSTING", matter))
            continue
        try:
            found[key.lower()] = KEYS[key](value)
        except ValueError as error:
            report(Problem("hosting.E022", "HOSTING", f"{key} is {value!r}, {error}"))
    found["schedule"] = judge_schedules(found.get("schedule", {}), report)
    return HostingSettings(**found)


def _judge_list(raw: Any, where: str, report: Report) -> list[ServiceEntry | SwitchedOff]:
    if not isinstance(raw, (list, tuple)):
        report(Problem("hosting.E001", where, f"is {raw!r}, allowed: a list of services"))
        return []
    judged = (
        EntryJudge(entry, f"{where}[{index}]", report).judge() for index, entry in enumerate(raw)
    )
    return [entry for entry in judged if entry is not None]


def _merge_shipped(
    shipped: dict[str, ServiceEntry],
    entries: Iterable[ServiceEntry | SwitchedOff],
    report: Report,
) -> None:
    for entry in entries:
        if isinstance(entry, SwitchedOff):
            report(Problem("hosting.E004", entry.where, "the key 'SERVICE' is missing"))
        elif entry.name in shipped:
            report(_duplicate(entry, shipped[entry.name]))
        else:
            shipped[entry.name] = entry


def _merge_own(
    shipped: dict[str, ServiceEntry],
    entries: Iterable[ServiceEntry | SwitchedOff],
    report: Report,
) -> dict[str, ServiceEntry]:
    merged = dict(shipped)
    own: dict[str, ServiceEntry | SwitchedOff] = {}
    for entry in entries:
        if entry.name in own:
            report(_duplicate(entry, own[entry.name]))
        elif isinstance(entry, ServiceEntry):
            merged[entry.name] = entry
        elif merged.pop(entry.name, None) is None:
            matter = (
                f"no app ships a service named {entry.name!r}, {allowed_names(entry.name, shipped)}"
            )
            report(Problem("hosting.E016", entry.where, matter))
        own[entry.name] = entry
    return merged


def _duplicate(entry: ServiceEntry | SwitchedOff, first: ServiceEntry | SwitchedOff) -> Problem:
    matter = f"NAME {entry.name!r} is taken by {first.where}, allowed: a name of its own (set NAME)"
    return Problem("hosting.E015", entry.where, matter)
