"""The subjects of the bench: the product, its peers, and the floors below which nobody gets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from bench.place import FAST, FULL, POSTGRESQL, SQLITE

_BOTH = (POSTGRESQL, SQLITE)
_ALL = (
    "drain",
    "drain2",
    "insert",
    "insert_atomic",
    "enqueue",
    "enqueue_many",
    "latency",
    "backlog_small",
    "backlog_large",
    "snapshot",
    "idle",
    "idle_fleet",
    "memory",
    "profile",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is measured of a subject, without importing it: it may not be installed.

    `jobs` are drained by a full run: what takes it some seconds. A subject that keeps its jobs in
    Redis stands in PostgreSQL's column.
    """

    name: str
    module: str
    databases: Collection[str]
    measures: Collection[str]
    jobs: int
    needs_redis: bool = False
    variant: str = ""


ENTRIES = [
    Entry(
        "hosting",
        "ours",
        _BOTH,
        _ALL,
        jobs=100_000,
    ),
    Entry(
        "hosting-full",
        "ours",
        (SQLITE,),
        ("drain", "insert", "insert_atomic", "enqueue"),
        jobs=100_000,
        variant=FULL,
    ),
    Entry("floor", "floor", (POSTGRESQL,), ("drain", "enqueue", "latency"), jobs=200_000),
    Entry("orm", "ours", _BOTH, ("insert",), jobs=20_000),
    Entry("executor", "executor", (POSTGRESQL,), ("memory",), jobs=200_000),
    Entry("pgqueuer", "pgqueuer_", (POSTGRESQL,), ("drain", "latency", "idle"), jobs=50_000),
    Entry(
        "procrastinate", "procrastinate_", (POSTGRESQL,), ("drain", "latency", "idle"), jobs=4_000
    ),
    Entry("django-tasks-db", "django_tasks_db_", _BOTH, ("drain", "enqueue", "idle"), jobs=3_000),
    Entry("huey", "huey_", (SQLITE,), ("drain", "insert", "latency", "idle"), jobs=20_000),
    Entry("huey-fast", "huey_", (SQLITE,), ("drain", "insert"), jobs=50_000, variant=FAST),
    Entry("dramatiq", "dramatiq_", (POSTGRESQL,), ("drain", "insert"), 20_000, needs_redis=True),
    Entry("celery", "celery_", (POSTGRESQL,), ("drain",), 8_000, needs_redis=True),
    Entry("rq", "rq_", (POSTGRESQL,), ("drain",), 3_000, needs_redis=True),
]
