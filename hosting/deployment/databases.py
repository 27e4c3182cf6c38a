"""What in DATABASES will be trouble for the services and jobs of several threads and processes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from django.apps import apps
from django.core.checks import CheckMessage, Warning
from django.db import router

from hosting.conf import Declaration
from hosting.deployment.workers import DeclaredWorker, connections_needed
from hosting.queues.backends import DatabaseBackend
from hosting.queues.stores.advice import advice_on, connections_allowed, pool_size


def own_database() -> str:
    """The alias of where the rows of processes and leases are."""
    return router.db_for_write(apps.get_model("hosting", "HostProcess"))


def check_databases(
    declaration: Declaration, backends: Mapping[str, DatabaseBackend]
) -> Iterator[CheckMessage]:
    """W110 to W112 and W116: each database that jobs or services need."""
    aliases = {backend.settings.database for backend in backends.values()}
    if declaration.services:
        aliases.add(own_database())
    for alias in sorted(aliases):
        for advice in advice_on(alias):
            yield Warning(
                f"DATABASES[{alias!r}]: {advice.found}.",
                hint=f"In its OPTIONS: {advice.todo}.",
                id=advice.id,
            )
        there = [each.settings for each in backends.values() if each.settings.database == alias]
        spans = sorted({settings.dead_after for settings in there})
        if len(spans) > 1:
            yield Warning(
                f"TASKS: the backends whose DATABASE is {alias!r} have different DEAD_AFTER: "
                f"{', '.join(f'{span:g}' for span in spans)}. A process has one sign of life for "
                "all of them, so chance decides which counts.",
                hint="Give them the same DEAD_AFTER.",
                id="hosting.W116",
            )


def check_connections(
    declaration: Declaration, workers: Collection[DeclaredWorker], databases: Collection[str]
) -> Iterator[CheckMessage]:
    """W113: more threads than connections; these databases are asked how many they allow."""
    for alias, need in sorted(connections_needed(declaration, workers, own_database()).items()):
        pool = pool_size(alias)
        if pool is not None and need.pooled > pool:
            yield Warning(
                f"DATABASES[{alias!r}]: the pool has {pool} connections, and the services of one "
                f"{need.kind} process may need {need.pooled} at once.",
                hint=f"Set max_size of the pool to {need.pooled} or more, or lower 'concurrency'.",
                id="hosting.W113",
            )
        allowed = connections_allowed(alias) if alias in databases else None
        if allowed is not None and need.all > allowed:
            yield Warning(
                f"DATABASES[{alias!r}]: the database allows {allowed} connections, and the "
                f"services of one {need.kind} process may need {need.all} at once.",
                hint="Allow more (max_connections), or lower 'concurrency'.",
                id="hosting.W113",
            )
