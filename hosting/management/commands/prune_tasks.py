from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS, TaskResultStatus
from hosting.management.backends import backend_of, database_errors_told
from hosting.queues.backends import DatabaseBackend
from hosting.queues.stores.duties import BATCH
from hosting.queues.stores.pruning import count_old
from hosting.queues.stores.tables import Tables

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

#: The exit code of a command that Ctrl-C has ended, as shells have it.
INTERRUPTED = 130


class Command(BaseCommand):
    help = "Deletes the results of jobs that ended long ago, in small batches."

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=_span,
            metavar="SPAN",
            help="Such as 7d, 12h, 30m, 90s, 2w (default: RETENTION of the backend).",
        )
        parser.add_argument("--status", choices=["successful", "failed"], help="Default: both.")
        parser.add_argument("--dry-run", action="store_true", help="Count, and delete nothing.")
        parser.add_argument("--backend", default=DEFAULT_TASK_BACKEND_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, **options: Any) -> None:
        backend = backend_of(options["backend"])
        verb = "would be deleted" if options["dry_run"] else "deleted"
        try:
            with database_errors_told():
                total = self._prune(backend, options, verb)
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted: what is deleted is deleted, the rest is there.",
                returncode=INTERRUPTED,
            ) from None
        self.stdout.write(f"{total} results {verb}.")

    def _prune(self, backend: DatabaseBackend, options: dict[str, Any], verb: str) -> int:
        total = 0
        for status, seconds in _chosen(backend, options).items():
            if seconds is None:
                self.stdout.write(f"{status.value}: kept for ever, as RETENTION says")
                continue
            if options["dry_run"]:
                count = count_old(Tables(backend.store.alias), backend.alias, status, seconds)
            else:
                count = self._delete(backend, status, seconds)
            total += count
            self.stdout.write(f"{status.value}: {count} {verb}")
        return total

    def _delete(self, backend: DatabaseBackend, status: TaskResultStatus, seconds: float) -> int:
        total, count = 0, BATCH
        while count >= BATCH:
            count = backend.store.upkeep.prune(backend.alias, {status: seconds})
            total += count
            if count >= BATCH:
                self.stdout.write(f"{status.value}: {total} deleted so far")
                self.stdout.flush()
        return total


def _chosen(
    backend: DatabaseBackend, options: dict[str, Any]
) -> dict[TaskResultStatus, float | None]:
    chosen = dict(backend.settings.retention)
    if options["older_than"] is not None:
        chosen = dict.fromkeys(chosen, options["older_than"])
    if options["status"]:
        wanted = TaskResultStatus(options["status"].upper())
        chosen = {wanted: chosen[wanted]}
    return chosen


def _span(text: str) -> float:
    """Seconds."""
    found = re.fullmatch(r"(\d{1,9})([smhdw])", str(text))
    if found is None:
        raise ArgumentTypeError(
            f"{text!r}, allowed: a whole number and one of s, m, h, d, w, such as 7d"
        )
    return float(int(found[1]) * UNITS[found[2]])
