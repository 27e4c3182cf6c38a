from __future__ import annotations

import json
from argparse import ArgumentTypeError
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS
from hosting.management.backends import backend_of, database_errors_told
from hosting.management.tables import table
from hosting.queues.backends import DatabaseBackend
from hosting.queues.inspection import (
    HEADER,
    as_row,
    details_as_json,
    details_as_text,
    list_as_json,
)
from hosting.queues.stores.browsing import (
    ENDED,
    LIVE,
    WINDOW,
    JobDetails,
    Search,
    browse,
    details,
    next_jobs,
)
from hosting.queues.stores.tables import Tables

#: What is said of a job that was changed, and why others are not.
CHANGED = {"cancel": "cancelled", "retry": "runs again", "discard": "forgotten"}
ASKED = "was asked to end"
REFUSED = {
    "cancel": "only a job that has not ended can be cancelled",
    "retry": "only a job that is failed runs again, and only if no other has its unique key",
    "discard": "only a job that does not run can be forgotten",
}


class Command(BaseCommand):
    help = "Lists the jobs of the durable queue, shows one, and cancels, retries or discards some."

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        listing = actions.add_parser("list", help="List jobs, the newest first.")
        listing.add_argument("--state", choices=[*LIVE, *ENDED])
        listing.add_argument("--queue", metavar="NAME")
        listing.add_argument("--task", metavar="PATH", help="The dotted path of the task.")
        listing.add_argument("--limit", type=_limit, default=20, metavar="N")
        listing.add_argument(
            "--order",
            choices=["newest", "claims"],
            default="newest",
            help="claims: what is ready, in the order in which workers take it.",
        )
        shown = actions.add_parser("show", help="Show all that is stored of one job.")
        shown.add_argument("ids", nargs=1, type=_job_id, metavar="ID")
        for each in (listing, shown):
            each.add_argument("--format", choices=["text", "json"], default="text")
        for action, what in (
            ("cancel", "End jobs, or ask those that run to end."),
            ("retry", "Run jobs that have failed once more."),
            ("discard", "Forget jobs that do not run, or their results."),
        ):
            steered = actions.add_parser(action, help=what)
            steered.add_argument("ids", nargs="+", type=_job_id, metavar="ID")
        for each in actions.choices.values():
            each.add_argument("--backend", default=DEFAULT_TASK_BACKEND_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        backend = backend_of(options["backend"])
        with database_errors_told():
            if action == "list":
                self._list(backend, options)
            elif action == "show":
                self._show(_details(backend, options["ids"][0]), options["format"])
            else:
                self._steer(backend, action, options["ids"])

    def _list(self, backend: DatabaseBackend, options: dict[str, Any]) -> None:
        by_claims = options["order"] == "claims"
        if by_claims and options["state"] not in (None, "ready"):
            raise CommandError(
                f"--state is {options['state']!r}, allowed with --order claims: 'ready'"
            )
        search = Search(
            backend=backend.alias,
            state=options["state"],
            queue=options["queue"],
            task=options["task"],
            limit=options["limit"],
        )
        tables = Tables(backend.store.alias)
        if by_claims:
            names = [search.queue] if search.queue else backend.store.queue_names(backend.alias)
            found = next_jobs(tables, search, names)
        else:
            found = browse(tables, search)
        if options["format"] == "json":
            self.stdout.write(json.dumps(list_as_json(found), indent=2))
            return
        for line in table(HEADER, map(as_row, found.jobs)) if found.jobs else ["No such job."]:
            self.stdout.write(line)
        if found.was_cut_short:
            where = "next" if by_claims else "newest"
            self.stderr.write(f"Only the {where} {WINDOW} jobs were looked at; there may be more.")

    def _show(self, found: JobDetails, how: str) -> None:
        if how == "json":
            self.stdout.write(json.dumps(details_as_json(found), indent=2))
            return
        for line in details_as_text(found):
            self.stdout.write(line)

    def _steer(self, backend: DatabaseBackend, action: str, ids: list[UUID]) -> None:
        tables = Tables(backend.store.alias)
        states = {job_id: _state(details(tables, job_id), backend) for job_id in ids}
        changed = backend.steer_many(action, [job_id for job_id, state in states.items() if state])
        for job_id, state in states.items():
            if job_id in changed:
                is_asked = action == "cancel" and state == "running"
                self.stdout.write(f"{job_id}: {ASKED if is_asked else CHANGED[action]}")
            elif state:
                self.stderr.write(f"{job_id} is {state}: {REFUSED[action]}")
            else:
                self.stderr.write(f"{job_id}: there is no such job in {backend.alias!r}")
        if missed := len(states) - len(changed):
            raise CommandError(f"{missed} of {len(states)} jobs were not changed.")


def _state(found: JobDetails | None, backend: DatabaseBackend) -> str:
    """The state of a job, "" if this backend has no such job."""
    return found.state if found and found.record.backend == backend.alias else ""


def _details(backend: DatabaseBackend, job_id: UUID) -> JobDetails:
    found = details(Tables(backend.store.alias), job_id)
    if found is None or not _state(found, backend):
        raise CommandError(f"There is no job {job_id} in the backend {backend.alias!r}.")
    return found


def _job_id(text: str) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no id of a job, allowed: a UUID") from None


def _limit(text: str) -> int:
    number = int(text) if str(text).isdecimal() else 0
    if not 1 <= number <= WINDOW:
        raise ArgumentTypeError(f"{text!r}, allowed: a whole number, 1 to {WINDOW}")
    return number
