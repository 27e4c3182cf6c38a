"""Checks before trouble: what `check --deploy` says of settings that are right but unwise.

Everything is read from the settings. The database is asked one thing, how many connections it
allows, and only where the command is told to: `check --deploy --database default`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning

from hosting.conf import WEB, Declaration, judge
from hosting.deployment.databases import check_connections, check_databases, own_database
from hosting.deployment.tasks import check_backends, check_queues, usable_backends
from hosting.deployment.workers import declared_workers
from hosting.exceptions import ConfigurationError
from hosting.process.facts import explicit_wish
from hosting.queues.stores.advice import is_known


def check_deployment(databases: Collection[str] | None = None, **_: Any) -> list[CheckMessage]:
    """What will be trouble in production; nothing where the settings are wrong anyway."""
    declaration, problems = judge()
    if problems:
        return []
    backends = dict(usable_backends())
    workers = list(declared_workers(declaration, backends))
    return [
        *check_backends(),
        *check_queues(backends, workers),
        *check_databases(declaration, backends),
        *check_connections(declaration, workers, databases or ()),
        *_check_kinds(declaration),
        *_check_leases(declaration),
    ]


def _check_kinds(declaration: Declaration) -> Iterator[CheckMessage]:
    try:
        wish, source = explicit_wish(os.environ)
    except ConfigurationError:
        return
    for entry in declaration.services:
        if wish is False and entry.enabled and entry.run_in == {WEB}:
            yield Warning(
                f"{entry.where}: RUN_IN is ['web'], but {source} says that web processes do not "
                "host, so it runs nowhere.",
                hint="Add 'worker' to RUN_IN, or let web processes host.",
                id="hosting.W010",
            )


def _check_leases(declaration: Declaration) -> Iterator[CheckMessage]:
    alias = own_database()
    for entry in declaration.services:
        if entry.singleton and entry.enabled and not is_known(alias):
            yield Warning(
                f"{entry.where}: SINGLETON is True, but the ENGINE of DATABASES[{alias!r}] is not "
                "known to hold leases, so it may run in no process, or in several.",
                hint="Use SQLite, PostgreSQL, MySQL or MariaDB.",
                id="hosting.W011",
            )
