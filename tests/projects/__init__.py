"""A project whose services are declared by the test that starts it.

settings    HOSTED_SERVICES and HOSTING come from the environment, which `declare` makes
services    services that write a line for each of their moments
telling     how they write it
tasks       jobs for the durable queue
urls        pages that tell of the process that serves them
wsgi, asgi  the entry points, as a project has them
preloaded   one that asks the database when it is loaded

Each of its processes imports this, so what only a test needs is not imported for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.processes import ManagedProcess


class Fact(NamedTuple):
    """What a service wrote: its name, what happened, and where."""

    service: str
    event: str
    pid: int
    thread: str


def declare(*entries: object, settings: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The environment of a process of the project that has these entries in HOSTED_SERVICES.

    A service of `tests.projects.services` goes by the name of its class alone. `settings` replaces
    settings, such as `{"HOSTING": {"SHUTDOWN_TIMEOUT": 1}}`.
    """
    return {
        "DJANGO_SETTINGS_MODULE": "tests.projects.settings",
        "DECLARED_SETTINGS": json.dumps(
            {"HOSTED_SERVICES": [_entry(entry) for entry in entries], **(settings or {})}
        ),
    }


def entry(service: str, name: str | None = None, **options: object) -> dict[str, object]:
    """An entry of HOSTED_SERVICES with these OPTIONS."""
    return {"SERVICE": service, "OPTIONS": options, **({"NAME": name} if name else {})}


def facts(process: ManagedProcess) -> list[Fact]:
    """What the services of the process, and of its children, have written so far."""
    found = (re.search(FACT, line) for line in process.lines)
    return [Fact(match[1], match[2], int(match[3]), match[4]) for match in found if match]


def events(process: ManagedProcess) -> list[str]:
    """As `facts`, each as "name event"."""
    return [f"{fact.service} {fact.event}" for fact in facts(process)]


def wait_for_fact(process: ManagedProcess, event: str, *, count: int = 1) -> Fact:
    """The `count`-th fact "name event", once it is there."""
    process.wait_for_line(rf"^fact {re.escape(event)} pid=", count=count)
    return [fact for fact in facts(process) if f"{fact.service} {fact.event}" == event][count - 1]


FACT = r"^fact (\S+) (.+) pid=(\d+) thread=(\S+)$"


def _entry(raw: object) -> object:
    if isinstance(raw, str) and "." not in raw:
        return f"tests.projects.services.{raw}"
    if isinstance(raw, dict) and "." not in raw.get("SERVICE", "."):
        return {**raw, "SERVICE": f"tests.projects.services.{raw['SERVICE']}"}
    return raw
