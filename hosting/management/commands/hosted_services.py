from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hosting.exceptions import ConfigurationError
from hosting.listing import Listing, list_services
from hosting.management.tables import table
from hosting.management.watching import watch


class Command(BaseCommand):
    help = "Lists the project's hosted services, where each runs, and whether this process hosts."

    # It says itself what is wrong with the settings, and other checks may ask the database.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--explain",
            action="store_true",
            help="Show the facts and the decision for this process and for the usual ones.",
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--watch",
            action="store_true",
            help="Show the table again every second, until q or Ctrl-C; once without a terminal.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["watch"] and (options["explain"] or options["format"] != "text"):
            raise CommandError("--watch excludes --explain and --format json.")
        try:
            listing = list_services()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        if options["watch"] and self.stdout.isatty() and sys.stdin.isatty():
            watch(_picture, sys.stdin, cast(TextIO, self.stdout._out))
        elif options["format"] == "json":
            self.stdout.write(json.dumps(listing.as_json(), indent=2, default=str))
        else:
            self._write(listing, explain=options["explain"])

    def _write(self, listing: Listing, *, explain: bool) -> None:
        for line in _table(listing):
            self.stdout.write(line)
        self.stdout.write("")
        self.stdout.write(listing.process.sentence())
        if not explain:
            return
        self.stdout.write("")
        for name, value in listing.facts.items():
            self.stdout.write(f"  {name:18}{value}")
        self.stdout.write("\nThe usual processes of this project:")
        for launch in listing.launches:
            self.stdout.write(f"  {launch.sentence()}")


def _table(listing: Listing) -> list[str]:
    header = ("NAME", "SERVICE", "RUNS IN", "RESTART", "RUNNING NOW")
    return table(header, (service.as_row() for service in listing.services))


def _short_table(listing: Listing) -> list[str]:
    """What changes alone, with a line for each copy."""
    rows = [
        ("" if number else service.name, copy)
        for service in listing.services
        for number, copy in enumerate(service.running_now())
    ]
    return table(("NAME", "RUNNING NOW"), rows)


def _picture(columns: int) -> list[str]:
    """As much as fits the width; in the narrowest form, each copy stands below its service."""
    listing = list_services()
    lines = _table(listing)
    if max(map(len, lines)) > columns:
        lines = _short_table(listing)
    if max(map(len, lines)) > columns:
        lines = [
            line
            for service in listing.services
            for line in (service.name, *(f"  {copy}" for copy in service.running_now()))
        ]
    return [*lines, "", f"{datetime.now():%H:%M:%S}  q quits"]
