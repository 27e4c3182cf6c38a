"""System checks: what `hosting.conf` finds wrong, as `manage.py check` prints it."""

from __future__ import annotations

import os
from typing import Any

from django.core.checks import CheckMessage, Error, Warning

from hosting.conf import Declaration, judge
from hosting.exceptions import ConfigurationError
from hosting.process.facts import explicit_wish
from hosting.queues.scheduler import Scheduler
from hosting.queues.scheduling.declared import entry_problems


def check_hosting(**_: Any) -> list[CheckMessage]:
    """`HOSTED_SERVICES`, `HOSTING`, and the services that apps ship."""
    declaration, problems = judge()
    if problems:
        return [Error(str(problem), id=problem.id) for problem in problems]
    return [*_check_environment(), *_check_timeouts(declaration), *_check_schedule(declaration)]


def _check_environment() -> list[CheckMessage]:
    try:
        explicit_wish(os.environ)
    except ConfigurationError as error:
        return [Error(str(error), id="hosting.E023")]
    return []


def _check_schedule(declaration: Declaration) -> list[CheckMessage]:
    entries = [entry for entry in declaration.settings.schedule.values() if entry.enabled]
    found: list[CheckMessage] = [
        Error(str(problem), id=problem.id) for entry in entries for problem in entry_problems(entry)
    ]
    services = [entry.service_class for entry in declaration.services if entry.enabled]
    if entries and not any(issubclass(service, Scheduler) for service in services):
        words = (
            "HOSTING['SCHEDULE'] has entries, but no enabled entry of HOSTED_SERVICES is a "
            "hosting.Scheduler: nobody enqueues them."
        )
        found.append(Warning(words, id="hosting.W002"))
    return found


def _check_timeouts(declaration: Declaration) -> list[CheckMessage]:
    budget = declaration.settings.shutdown_timeout
    return [
        Warning(
            f"{entry.where}: STOP_TIMEOUT is {entry.stop_timeout:g}, but SHUTDOWN_TIMEOUT, the "
            f"budget of all services, is {budget:g}: the service gets no more than that.",
            id="hosting.W001",
        )
        for entry in declaration.services
        if entry.stop_timeout is not None and entry.stop_timeout > budget
    ]
