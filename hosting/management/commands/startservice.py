from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hosting.scaffolding import ScaffoldError, scaffold


class Command(BaseCommand):
    help = "Writes a new hosted service with its test into an app, and prints the setting to add."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="Name of the class, such as Reaper.")
        parser.add_argument("app", help="Label of the app that is to have it.")
        kinds = parser.add_mutually_exclusive_group()
        kinds.add_argument(
            "--timed", action="store_true", help="A service that runs on a schedule."
        )
        kinds.add_argument("--queued", action="store_true", help="A service that drains a queue.")

    def handle(self, *args: Any, **options: Any) -> None:
        kind = next((kind for kind in ("timed", "queued") if options[kind]), "background")
        try:
            written = scaffold(options["name"], options["app"], kind)
        except ScaffoldError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Wrote {written.service_file} and {written.test_file}.")
        self.stdout.write("Add this line to HOSTED_SERVICES in your settings:\n")
        self.stdout.write(f'    "{written.path}",')
