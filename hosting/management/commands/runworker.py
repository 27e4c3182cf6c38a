from __future__ import annotations

import sys
from argparse import BooleanOptionalAction
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from hosting.builder import build_host
from hosting.conf import WORKER
from hosting.exceptions import ConfigurationError
from hosting.host import Host
from hosting.process import reloading, worker
from hosting.process.console import Console


class Command(BaseCommand):
    help = "Hosts the project's services in this process until it is told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--only",
            nargs="+",
            action="extend",
            default=[],
            metavar="NAME",
            help="Host these services alone.",
        )
        parser.add_argument(
            "--exclude",
            nargs="+",
            action="extend",
            default=[],
            metavar="NAME",
            help="Host all but these services.",
        )
        parser.add_argument(
            "--reload",
            action=BooleanOptionalAction,
            default=None,
            help="Start again when code changes, stopping gracefully before (default: if DEBUG).",
        )
        parser.add_argument(
            "--interactive",
            action="store_true",
            help="Read keys from the terminal: w adds a work item, q quits.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["interactive"] and not sys.stdin.isatty():
            raise CommandError("--interactive needs a terminal, and standard input is none.")
        reload = options["reload"]
        if reload is None:
            reload = settings.DEBUG and not options["interactive"]
        sys.exit(self._run_reloading(options) if reload else worker.run_worker(_build(options)))

    def _run_reloading(self, options: dict[str, Any]) -> int:
        host = _build(options)
        if worker.is_reloader_parent():
            return reloading.run_children()
        return worker.run_reloading_worker(host)


def _build(options: dict[str, Any]) -> Host:
    try:
        return build_host(
            WORKER,
            only=options["only"],
            exclude=options["exclude"],
            extra={"hosting:console": Console()} if options["interactive"] else None,
        )
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
