"""The table of a run as text: the goals, every subject's numbers, what was skipped and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.goals import judged
from bench.results import Results, Spread

NOTES = (
    "Medians of the rounds, with the least and the greatest; ratios within a round.",
    "Every subject logs at WARNING, so no line per job. Subjects on Redis stand under postgresql.",
    "CONN_MAX_AGE is 60 for all that use Django (huey and dramatiq keep their connections anyway),",
    "and prepare_threshold 5, as by psycopg's default, also for the raw INSERT of the floor.",
    "PostgreSQL as it comes: every commit waits for the disk. hosting: SQLite in WAL with",
    "synchronous=NORMAL; hosting-full: with FULL. huey: one thread, as it comes, so with FULL;",
    "huey-fast: without fsync and results. Both insert rows into a database with NORMAL;",
    "pgqueuer: batches of 500; dramatiq: 8 threads, prefetch 1,000; celery: solo pool, no results;",
    "rq: SimpleWorker, no results; procrastinate: 10 at a time, finished jobs deleted.",
    "floor: psycopg alone (claim 500, then delete; raw INSERT; INSERT+NOTIFY to LISTEN).",
    "orm: INSERTs by the ORM in one process, 100 in a transaction, with no queue around them,",
    "on one thread and on three.",
)

Row = Sequence[str]

GOAL_HEADER = ("goal", "database", "wanted", "measured", "least", "greatest", "met")
NUMBER_HEADER = ("measure", "database", "subject", "number", "median", "least", "greatest")


def render(results: Results) -> str:
    """Everything, in columns."""
    parts = [
        "\n".join(f"{name}: {value}" for name, value in results.versions.items()),
        aligned([GOAL_HEADER, *goal_rows(results)]),
        aligned([NUMBER_HEADER, *number_rows(results)]),
        "\n".join(f"no {name}: {reason}" for name, reason in results.reasons.items()),
        "\n".join(NOTES),
    ]
    return "\n\n".join(part for part in parts if part)


def goal_rows(results: Results) -> Iterator[Row]:
    for goal, value in judged(results):
        met = "-" if value is None else "yes" if goal.is_met(value) else "NO"
        yield (goal.title, goal.database, goal.text, *_cells(value), met)


def number_rows(results: Results) -> Iterator[Row]:
    for name in results.rounds:
        for number in results.numbers(name):
            yield (*name.split("/"), number, *_cells(results.spread(name, number)))


def aligned(rows: Sequence[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _cells(spread: Spread | None) -> Row:
    if spread is None:
        return ("-", "-", "-")
    return (_short(spread.median), _short(spread.minimum), _short(spread.maximum))


def _short(value: float) -> str:
    """Three digits are more than what the noise leaves."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
