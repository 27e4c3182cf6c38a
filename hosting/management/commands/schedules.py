from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from hosting.exceptions import ConfigurationError
from hosting.management.tables import table
from hosting.queues.scheduling.listing import ListedSchedule, list_schedules


class Command(BaseCommand):
    help = "Lists the scheduled tasks: when each is due, its next run and its last one."

    # It says itself what is wrong with the schedules.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = list_schedules()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"The database cannot be read ({error}): is it migrated?") from error
        if options["format"] == "json":
            self.stdout.write(json.dumps(list(map(_as_json, found)), indent=2))
        elif found:
            for line in table(_HEADER, map(_row, found)):
                self.stdout.write(line)
        else:
            self.stdout.write("There are no schedules.")


_HEADER = ("NAME", "TASK", "WHEN", "NEXT RUN", "LAST RUN", "PAUSED")


def _row(each: ListedSchedule) -> tuple[str, ...]:
    paused = "yes" if each.is_paused else "no"
    return (each.name, each.task, each.when, each.next_in_words(), each.last_in_words(), paused)


def _as_json(each: ListedSchedule) -> dict[str, Any]:
    moments = {"now": each.now, "next_run": each.next_run, "last_run": each.last_run}
    return {
        **asdict(each),
        **{name: value.isoformat() if value else None for name, value in moments.items()},
    }
