from typing import Any

from django.core.management.base import BaseCommand

from tests.projects.telling import write_fact


class Command(BaseCommand):
    """A command of the project's own."""

    def handle(self, *args: Any, **options: Any) -> None:
        write_fact("command", "ran")
