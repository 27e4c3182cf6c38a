"""Writes docs/performance.md and its chart from the results that are kept: `--page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench import chart, table
from bench.goals import OURS
from bench.place import POSTGRESQL, SQLITE
from bench.results import Results, key

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
CHART = DOCS / "images" / "performance.svg"

_INTRODUCTION = """# Performance

`make bench` measures the queue and its peers side by side, each through its public API, each worker
in processes of its own, and interleaves the rounds. The docstrings in `bench/measures/` say how
each number is taken. This page is made from the kept results: `python -m bench --page`.

![Jobs per second, by subject](images/performance.svg)
"""


_PROFILE = """Processor time of one job that does nothing, while a worker drains many: medians in
microseconds. The worker's share is parted by samples of its stacks (`bench/measures/profile.py`).
"""
_MISSED = """Where a goal is missed:

- The latency goal is half as much again as a notification alone. A job that comes by itself is
  claimed in the statement that adds it, so there is no second round trip; what is left is a larger
  row and statement, what enqueueing does before it, and what a worker does until the job is on its
  thread: some dozen microseconds each in a process at work, and ten times as long in one that has
  rested. None of the peers on PostgreSQL is as quick.
- Jobs that insert a row spend most of their time in the ORM, which holds the interpreter: on
  PostgreSQL one thread with no queue around it inserts (`orm`) less than twice what
  dramatiq does, which neither commits the job with its row nor keeps its result. Nor do more
  threads help a lot: on another machine (2 cores of an Intel Xeon at 2.8 GHz) three of them came to
  1.5, 2.1 and 2.1 times dramatiq in three rounds. So the goal is about what one interpreter can do
  with no queue at all.

On SQLite huey is measured as it comes, as the goals were: 3,900 jobs a second, 2,200 that insert a
row. It then waits for the disk at each commit, so "both FULL" compares with this queue when it does
so too. Without that (`huey-fast`) it is several times faster, and slower than this queue still.
"""
_DATABASES = (POSTGRESQL, SQLITE)
_PARTS = {
    "worker_us": "**all of the worker's process**",
    "store_us": "statements, and rows into claims; on SQLite the database itself",
    "driver_us": "psycopg, and Django's part in the connection",
    "execution_us": "finding the task and its options, arguments, the outcome",
    "settling_us": "gathering outcomes, following up",
    "hand_over_us": "between the worker and its threads",
    "rounds_us": "deciding what to do next",
    "job_us": "the job, which counts itself",
    "rest_us": "everything else: waiting for the interpreter, signs of life, logging",
    "postgresql_us": "**all of PostgreSQL's processes**",
}


def write(results: Results) -> Path:
    """The path of the page; raises ValueError for results of a quick run, which mean little."""
    if results.options["quick"]:
        raise ValueError("a page is made from a full run, and these are the results of a quick one")
    CHART.write_text(chart.draw(results))
    PAGE.write_text(render(results))
    return PAGE


def render(results: Results) -> str:
    options = results.options
    sizes = (
        f"Rounds: {_rounds(results)}. Jobs waiting in the large backlog: {options['waiting']:,}."
        f" Snapshot held open: {options['snapshot_seconds']:g} s. Who drains more slowly, or is"
        f" asked for latencies, is judged by what {options['limit']:g} s have given."
    )
    parts = [
        _INTRODUCTION,
        "## Goals\n",
        _markdown(table.GOAL_HEADER, table.goal_rows(results)),
        _MISSED,
        "## Numbers\n",
        _markdown(table.NUMBER_HEADER, table.number_rows(results)),
        " ".join((sizes, *table.NOTES)) + "\n",
        "## Where the microseconds of a job go\n",
        _PROFILE,
        _markdown(("part", *_DATABASES, "what it is"), _profile_rows(results)),
        "## Not measured\n",
        _markdown(("what", "why"), results.reasons.items()) if results.reasons else "Nothing.\n",
        "## Measured on\n",
        _markdown(("what", "version"), results.versions.items()),
    ]
    return "\n".join(parts)


def _rounds(results: Results) -> str:
    """How many each measure had, at least and at most: some were added to earlier ones."""
    counts = sorted({len(rows) for rows in results.rounds.values()})
    return "-".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def _profile_rows(results: Results) -> Iterator[Sequence[str]]:
    for number, what in _PARTS.items():
        spreads = [results.spread(key("profile", each, OURS), number) for each in _DATABASES]
        cells = [f"{each.median:.1f}" if each else "-" for each in spreads]
        yield (number.removesuffix("_us").replace("_", " "), *cells, what)


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = (" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines)
    return "".join(f"| {line} |\n" for line in cells)
