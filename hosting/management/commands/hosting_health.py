from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseTrouble

from hosting import fleet
from hosting.conf import load
from hosting.exceptions import ConfigurationError
from hosting.observability.fleet_health import FleetHealth, judge_fleet
from hosting.process.asking import ask_at

#: Seconds that the database may take, or the process that is asked, unless --timeout says else.
PATIENCE = 5.0


class Command(BaseCommand):
    help = "Tells whether the hosted services are healthy: exit code 0 if so, else 1."

    # It judges what runs, not the project, and other checks may ask the database.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--url",
            help="Ask the process at this address, as http://127.0.0.1:8081/health/live; "
            "without it, all processes are judged by what they told the database.",
        )
        parser.add_argument(
            "--timeout",
            type=float,
            metavar="SECONDS",
            help="How long the process at --url may take to answer (default: 5).",
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["url"] is not None:
            verdict = _ask(options["url"], options["timeout"])
        elif options["timeout"] is not None:
            raise CommandError("--timeout is for --url, and there is none.")
        else:
            verdict = _judge()
        if options["format"] == "json":
            self.stdout.write(json.dumps(verdict, indent=2, default=str))
        else:
            self._write(verdict)
        sys.exit(0 if verdict["status"] == "ok" else 1)

    def _write(self, verdict: dict[str, Any]) -> None:
        self.stdout.write(verdict["status"])
        for reason in verdict["reasons"]:
            self.stdout.write(f"  {reason}")
        for process in verdict.get("processes", ()):
            self.stdout.write(f"  seen: {process}")


def _ask(url: str, timeout: float | None) -> dict[str, Any]:
    try:
        return ask_at(url, PATIENCE if timeout is None else timeout)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _judge() -> dict[str, Any]:
    try:
        declaration = load()
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
    try:
        with fleet.within(PATIENCE):
            return judge_fleet(declaration, fleet.services()).as_json()
    except DatabaseTrouble as error:
        reason = f"the database cannot be asked (is hosting migrated?): {error}"
        return FleetHealth((), (reason,)).as_json()
