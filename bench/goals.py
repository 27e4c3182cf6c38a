"""What the queue promises to be: every goal in one place, judged by the medians of one run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.place import POSTGRESQL, SQLITE
from bench.results import Results, Spread, key

OURS = "hosting"


@dataclass(frozen=True, slots=True)
class Goal:
    """A number of ours that is to be at least, or at most, a limit.

    With `against` the number is the ratio to that of (measure, subject), within each round; one
    named `…_ratio` was measured as a ratio.
    """

    title: str
    database: str
    measure: str
    number: str
    limit: float
    against: tuple[str, str] | None = None
    at_most: bool = False
    subject: str = OURS

    def value(self, results: Results) -> Spread | None:
        """What was measured; None if it was not."""
        ours = key(self.measure, self.database, self.subject)
        if self.against is None:
            return results.spread(ours, self.number)
        measure, peer = self.against
        return results.ratio(ours, key(measure, self.database, peer), self.number)

    def is_met(self, value: Spread) -> bool:
        return value.median <= self.limit if self.at_most else value.median >= self.limit

    @property
    def text(self) -> str:
        """The limit in words."""
        sign = "≤" if self.at_most else "≥"
        is_ratio = self.against is not None or self.number.endswith("_ratio")
        return f"{sign} {self.limit:,g}" + (" x" if is_ratio else "")


_RATE = "jobs_per_second"

GOALS = [
    Goal("drain against pgqueuer", POSTGRESQL, "drain", _RATE, 1.5, ("drain", "pgqueuer")),
    Goal("drain, jobs/s", POSTGRESQL, "drain", _RATE, 27_000),
    Goal("drain against the raw floor", POSTGRESQL, "drain", _RATE, 0.25, ("drain", "floor")),
    Goal("drain against huey", SQLITE, "drain", _RATE, 5, ("drain", "huey")),
    Goal(
        "drain against huey, both FULL",
        SQLITE,
        "drain",
        _RATE,
        5,
        ("drain", "huey"),
        subject="hosting-full",
    ),
    Goal("drain, jobs/s", SQLITE, "drain", _RATE, 20_000),
    Goal("two processes against one", POSTGRESQL, "drain2", _RATE, 1.6, ("drain", OURS)),
    Goal("two processes against one", SQLITE, "drain2", _RATE, 1, ("drain", OURS)),
    Goal(
        "inserting jobs, atomic, against dramatiq",
        POSTGRESQL,
        "insert_atomic",
        _RATE,
        2,
        ("insert", "dramatiq"),
    ),
    Goal("inserting jobs against huey", SQLITE, "insert", _RATE, 2, ("insert", "huey")),
    Goal(
        "inserting jobs, atomic, against huey",
        SQLITE,
        "insert_atomic",
        _RATE,
        2,
        ("insert", "huey"),
    ),
    Goal(
        "inserting jobs, atomic, against huey, both FULL",
        SQLITE,
        "insert_atomic",
        _RATE,
        2,
        ("insert", "huey"),
        subject="hosting-full",
    ),
    Goal("enqueue against raw INSERT", POSTGRESQL, "enqueue", "raw_ratio", 0.85),
    Goal("enqueue one by one, jobs/s", SQLITE, "enqueue", _RATE, 10_000),
    Goal("enqueue_many, jobs/s", POSTGRESQL, "enqueue_many", _RATE, 50_000),
    Goal("enqueue_many, jobs/s", SQLITE, "enqueue_many", _RATE, 100_000),
    Goal(
        "latency p50 against raw NOTIFY",
        POSTGRESQL,
        "latency",
        "p50_ms",
        1.5,
        ("latency", "floor"),
        at_most=True,
    ),
    Goal("latency p99, ms", POSTGRESQL, "latency", "p99_ms", 8, at_most=True),
    Goal("latency p50, ms", SQLITE, "latency", "p50_ms", 5, at_most=True),
    Goal("latency p99, ms", SQLITE, "latency", "p99_ms", 15, at_most=True),
    Goal(
        "drain with many waiting",
        POSTGRESQL,
        "backlog_large",
        _RATE,
        0.9,
        ("backlog_small", OURS),
    ),
    Goal("drain with many waiting", SQLITE, "backlog_large", _RATE, 0.9, ("backlog_small", OURS)),
    Goal(
        "drain under a held snapshot", POSTGRESQL, "snapshot", _RATE, 0.6, ("backlog_small", OURS)
    ),
    Goal("in memory, items/s", POSTGRESQL, "memory", "items_per_second", 300_000),
    Goal(
        "in memory against an executor",
        POSTGRESQL,
        "memory",
        "items_per_second",
        1,
        ("memory", "executor"),
    ),
]
for _database in (POSTGRESQL, SQLITE):
    for _title, _number, _limit in (
        ("idle, statements/s", "statements_per_second", 1),
        ("idle, % of a core", "cpu_percent", 0.5),
        ("idle, MB", "rss_mb", 70),
    ):
        GOALS.append(Goal(_title, _database, "idle", _number, _limit, at_most=True))
    GOALS.append(
        Goal(
            "idle fleet of 20 with a lease, statements/s",
            _database,
            "idle_fleet",
            "statements_per_second",
            20,
            at_most=True,
        )
    )


def judged(results: Results) -> Iterator[tuple[Goal, Spread | None]]:
    """Every goal on a database that the run has measured, with its value."""
    for goal in GOALS:
        if goal.database in results.options["databases"]:
            yield goal, goal.value(results)
