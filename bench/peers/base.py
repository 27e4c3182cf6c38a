"""What the bench asks of a subject."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import django
from django.core.management import call_command

from bench.place import Place

PLACE = Place.of_environment()


class Subject(ABC):
    """A queue on the trial's place, which is empty; used by the process that measures."""

    #: Whether its worker talks to SQLite by Django's connections, whose statements are counted.
    uses_django = True

    @abstractmethod
    def install(self) -> None:
        """Make the tables."""

    @abstractmethod
    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        """Enqueue many calls of one of `work`'s jobs, in the fastest way that its API has."""

    @abstractmethod
    def enqueue_one(self, job: str, *args: Any) -> None:
        """Enqueue one call, which is committed when this returns."""

    @abstractmethod
    def unsettled(self) -> int:
        """Whether jobs wait, run, or have run without this being recorded; 0 if none do."""

    def has_settled_last(self) -> bool:
        """Whether what was enqueued last is not among that."""
        return self.unsettled() == 0

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command line of one worker process."""

    def lacks(self, job: str) -> str:
        """Why it has no such job; "" if it has."""
        return ""


def python(module: str, *arguments: str) -> list[str]:
    """The command line of a module in this environment."""
    return [sys.executable, "-m", module, *arguments]


def set_up_django(*, migrate: bool = False) -> None:
    """Load the bench's project, and make its tables."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.project.settings")
    django.setup()
    if migrate:
        call_command("migrate", run_syncdb=True, verbosity=0)
