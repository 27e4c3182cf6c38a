from __future__ import annotations

import sys
from argparse import BooleanOptionalAction
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from hosting.exceptions import ConfigurationError
from hosting.host import Host
from hosting.process import commandline, reloading, worker
from hosting.process.children import own_slot
from hosting.process.probes import ProbeServer, address_of, require_usable
from hosting.process.recycling import Limits
from hosting.process.supervisor import MOST, supervise


class Command(BaseCommand):
    help = "Hosts the project's services in this process until it is told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        for option, what in (("--only", "these services alone"), ("--exclude", "all but these")):
            parser.add_argument(
                option,
                nargs="+",
                action="extend",
                default=[],
                metavar="NAME",
                help=f"Host {what}; may be repeated.",
            )
        parser.add_argument(
            "--processes",
            metavar="N",
            help="Run N worker processes, start them again when they die, and host nothing here.",
        )
        parser.add_argument(
            "--max-jobs",
            metavar="N",
            help="End, or be replaced, after N executed jobs and up to a tenth more.",
        )
        parser.add_argument(
            "--max-memory",
            metavar="MB",
            help="End, or be replaced, once the process takes more memory than this.",
        )
        parser.add_argument(
            "--reload",
            action=BooleanOptionalAction,
            default=None,
            help="Start again when code changes, stopping gracefully before (default: if DEBUG, "
            "without --interactive and --processes).",
        )
        parser.add_argument(
            "--interactive",
            action="store_true",
            help="Read keys from the terminal: w adds a work item, q quits.",
        )
        parser.add_argument(
            "--health",
            metavar="HOST:PORT",
            help="Answer health/live, health/ready and health/services by HTTP at this address; "
            "of several processes the first, the next ones at the ports after it.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        processes = _whole_number("--processes", options["processes"], most=MOST)
        for other in ("reload", "interactive"):
            if processes is not None and options[other]:
                raise CommandError(
                    f"--processes and --{other} exclude each other: --{other} is for one process."
                )
        if options["interactive"] and not sys.stdin.isatty():
            raise CommandError("--interactive needs a terminal, and standard input is none.")
        reload = options["reload"]
        if reload is None:
            reload = settings.DEBUG and not options["interactive"] and processes is None
        sys.exit(_run(_build(options), processes, reload, options["health"]))


def _run(host: Host, processes: int | None, reload: bool, health: str | None) -> int:
    if processes is not None:
        return _supervise(host, processes, health)
    if reload and worker.is_reloader_parent():
        return reloading.run_children()
    run = worker.run_reloading_worker if reload else worker.run_worker
    with _probes(health):
        return run(host)


def _supervise(host: Host, processes: int, health: str | None) -> int:
    """Supervise processes that are to run hosts like this one, which shows that they can."""
    if health is not None:
        with _judging(health):
            for slot in range(processes, 0, -1):
                require_usable(address_of(health, slot))
    try:
        arguments = commandline.child_arguments()
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
    return supervise(processes, arguments, host.settings)


def _probes(address: str | None) -> AbstractContextManager[object]:
    if address is None:
        return nullcontext()
    with _judging(address):
        slot = own_slot()
        return ProbeServer(address if slot is None else address_of(address, slot))


@contextmanager
def _judging(address: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise CommandError(f"--health is {address!r}, {error}") from error


def _build(options: dict[str, Any]) -> Host:
    limits = Limits(
        jobs=_whole_number("--max-jobs", options["max_jobs"]),
        memory=_whole_number("--max-memory", options["max_memory"]),
    )
    try:
        return worker.build_worker(
            options["only"], options["exclude"], limits, interactive=options["interactive"]
        )
    except ConfigurationError as error:
        raise CommandError(str(error)) from error


def _whole_number(option: str, given: object, most: int | None = None) -> int | None:
    """What was given for an option, as text or by `call_command`; None if nothing was."""
    if given is None:
        return None
    number = int(given) if isinstance(given, int | str) and str(given).isdecimal() else 0
    if number < 1 or (most is not None and number > most):
        allowed = "a whole number, 1 or more" if most is None else f"a whole number, 1 to {most}"
        raise CommandError(f"{option} is {given!r}, allowed: {allowed}")
    return number
