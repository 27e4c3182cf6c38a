"""Entries of `HOSTED_SERVICES` and of `AppConfig.hosted_services`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.module_loading import import_string

from hosting.conf import values
from hosting.conf.problems import Problem, allowed_names
from hosting.services import HostedService

WEB, WORKER = "web", "worker"
NEVER, ON_FAILURE, ALWAYS = "never", "on-failure", "always"


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """One declared service; the meaning of each field stands in `docs/settings.md`."""

    name: str
    path: str
    service_class: type[HostedService]
    where: str  # the entry's place, for messages
    options: Mapping[str, Any] = field(default_factory=dict)
    run_in: frozenset[str] = frozenset({WEB, WORKER})
    restart: str = ON_FAILURE
    stop_timeout: float | None = None  # seconds; None: what is left of SHUTDOWN_TIMEOUT
    watchdog: float | None = None  # seconds; None: what the class says
    singleton: bool = False  # one copy in the whole fleet
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """An entry that only says that the service of this name, shipped by an app, is not wanted."""

    name: str
    where: str


def name(value: Any) -> str:
    """A name that fits in a log line, a URL and a thread's name."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", value):
        raise ValueError("allowed: 1 to 64 letters, digits, dots, hyphens and underscores")
    return value


def options(value: Any) -> Mapping[str, Any]:
    """Keyword arguments."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError("allowed: a dict of keyword arguments of the constructor")
    return dict(value)


#: Key of a dict entry -> its check id, the field it sets, its judge.
KEYS: Mapping[str, tuple[str, str, values.Judge]] = {
    "NAME": ("hosting.E007", "name", name),
    "OPTIONS": ("hosting.E009", "options", options),
    "RUN_IN": ("hosting.E010", "run_in", values.some_of(WEB, WORKER)),
    "RESTART": ("hosting.E011", "restart", values.one_of(NEVER, ON_FAILURE, ALWAYS)),
    "STOP_TIMEOUT": (
        "hosting.E012",
        "stop_timeout",
        values.or_none(values.positive_seconds),
    ),
    "WATCHDOG": ("hosting.E017", "watchdog", values.or_none(values.positive_seconds)),
    "SINGLETON": ("hosting.E013", "singleton", values.boolean),
    "ENABLED": ("hosting.E014", "enabled", values.boolean),
}


class EntryJudge:
    """Judges one raw entry: gives the entry, or None and reports what is wrong with it."""

    def __init__(self, raw: Any, where: str, report: Callable[[Problem], None]) -> None:
        self._raw = {"SERVICE": raw} if isinstance(raw, str) else raw
        self._where = where
        self._report = report
        self._sound = True

    def judge(self) -> ServiceEntry | SwitchedOff | None:
        if not isinstance(self._raw, dict):
            self._wrong("hosting.E002", f"is {self._raw!r}, allowed: a dotted path or a dict")
            return None
        self._where = f"{self._where}{self._label()}"
        self._judge_unknown_keys()
        found = dict(self._judge_values())
        if self._is_switch():
            return SwitchedOff(found["name"], self._where) if self._sound else None
        service_class = self._judge_class()
        if service_class is not None:
            self._judge_watchdog(service_class)
        if service_class is None or not self._sound:
            return None
        found.setdefault("name", service_class.__name__)
        entry = ServiceEntry(
            path=self._raw["SERVICE"], service_class=service_class, where=self._where, **found
        )
        return entry if self._options_fit(entry) else None

    def _label(self) -> str:
        label = self._raw.get("NAME") or self._raw.get("SERVICE")
        return f" ({label!r})" if isinstance(label, str) else ""

    def _is_switch(self) -> bool:
        return self._raw.keys() == {"NAME", "ENABLED"} and self._raw["ENABLED"] is not True

    def _judge_unknown_keys(self) -> None:
        for key in self._raw:
            if key != "SERVICE" and key not in KEYS:
                known = allowed_names(key, ["SERVICE", *KEYS])
                self._wrong("hosting.E003", f"unknown key {key!r}, {known}")

    def _judge_values(self) -> Iterator[tuple[str, Any]]:
        for key, (problem_id, field_name, judge) in KEYS.items():
            if key not in self._raw:
                continue
            try:
                yield field_name, judge(self._raw[key])
            except ValueError as error:
                self._wrong(problem_id, f"{key} is {self._raw[key]!r}, {error}")

    def _judge_class(self) -> type[HostedService] | None:
        if "SERVICE" not in self._raw:
            self._wrong("hosting.E004", "the key 'SERVICE' is missing")
            return None
        path = self._raw["SERVICE"]
        if not isinstance(path, str) or not re.fullmatch(r"\w+(\.\w+)+", path):
            self._wrong(
                "hosting.E005",
                f"SERVICE is {path!r}, allowed: the dotted path of a class, as 'app.services.Name'",
            )
            return None
        try:
            found = import_string(path)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            self._wrong("hosting.E006", f"SERVICE {path!r} cannot be imported: {reason}")
            return None
        return self._service_class(path, found)

    def _service_class(self, path: str, found: Any) -> type[HostedService] | None:
        if not inspect.isclass(found) or not issubclass(found, HostedService):
            self._wrong(
                "hosting.E008",
                f"SERVICE {path!r} is {found!r}, allowed: a subclass of hosting.HostedService",
            )
            return None
        if inspect.isabstract(found):
            abstract: frozenset[str] = getattr(found, "__abstractmethods__", frozenset())
            missing = " and ".join(f"{method}()" for method in sorted(abstract))
            self._wrong("hosting.E008", f"SERVICE {path!r} does not define {missing}")
            return None
        return found

    def _judge_watchdog(self, service_class: type[HostedService]) -> None:
        try:
            values.or_none(values.positive_seconds)(service_class.watchdog)
        except ValueError as error:
            self._wrong(
                "hosting.E017",
                f"watchdog of {service_class.__name__} is {service_class.watchdog!r}, {error}",
            )

    def _options_fit(self, entry: ServiceEntry) -> bool:
        try:
            matters = list(entry.service_class.check_options(entry.options))
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            matters = [f"OPTIONS are {dict(entry.options)!r}, which cannot be judged: {reason}"]
        for matter in matters:
            self._wrong("hosting.E009", matter)
        return self._sound

    def _wrong(self, problem_id: str, matter: str) -> None:
        self._sound = False
        self._report(Problem(problem_id, self._where, matter))
