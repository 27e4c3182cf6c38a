"""Writes the table of docs/servers.md from the report of a run of these tests.

    python -m tests.servers.matrix REPORT.xml docs/servers.md

The table stands between two comments of the page and is replaced there; the rest stays.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import django

from tests.servers.launches import ENDS, LAUNCHES, MISSED, NOBODY, PARENT, REPLACED, Launch

BEGIN, END = "<!-- from a run: begin -->", "<!-- from a run: end -->"

#: Test by launch -> "passed", "failed" or why it was skipped.
Outcomes = dict[tuple[str, str], str]

HEADER = (
    "server",
    "hosts in each process that serves, from its start, after forks with connections of its own; "
    "a failed service leaves it serving (1, 2, 3, 5)",
    "SIGTERM",
    "Ctrl-C",
    "recycled",
    "reload",
    "killed (6)",
    "requests in hand at SIGTERM",
)
KILLED = {
    REPLACED: "replaced, hosts",
    MISSED: "none until a file changes",
    ENDS: "ends the server",
}


def main(report: Path, page: Path) -> None:
    """Replace the table in the page."""
    outcomes = read(report)
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(outcomes)}\n{END}{after}")


def read(report: Path) -> Outcomes:
    """What became of each test that runs for a launch."""
    outcomes: Outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        match = re.fullmatch(r"(\w+)\[(.+)\]", case.get("name", ""))
        if match:
            outcomes[match[1], match[2]] = outcome(case)
    return outcomes


def outcome(case: ElementTree.Element) -> str:
    """Passed, failed, or why it was skipped."""
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    return "passed" if skipped is None else skipped.get("message", "skipped")


def table(outcomes: Outcomes) -> str:
    """The versions, and a line for each launch."""
    rows = [row(launch, outcomes) for launch in LAUNCHES]
    lines = [HEADER, ("---",) * len(HEADER), *rows]
    return (
        f"Python {platform.python_version()}, Django {django.__version__}, PostgreSQL with a pool "
        "of connections (mod_wsgi: SQLite), two processes that serve where the server can.\n\n"
        + "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    )


def row(launch: Launch, outcomes: Outcomes) -> tuple[str, ...]:
    """What was seen of one launch."""

    def seen(test: str, words: str = "yes") -> str:
        found = outcomes.get((test, launch.name))
        if found is None:
            return "-"
        return {"passed": words, "failed": "**failed**"}.get(found, "not installed")

    hosting = "test_hosting"
    cells: list[Callable[[], str]] = [
        lambda: seen(hosting),
        lambda: seen(hosting, "stops gracefully"),
        lambda: ctrl_c(launch, seen("test_ctrl_c_stops_the_services", "stops gracefully")),
        lambda: seen("test_a_worker_that_is_recycled_stops_its_services", "stops gracefully"),
        lambda: seen("test_a_reload_stops_the_services_and_starts_them_anew", "stops, and starts"),
        lambda: seen(hosting, KILLED[launch.killed]),
        lambda: seen(hosting, "end normally" if launch.drains else "may be cut off"),
    ]
    return (f"{launch.name} ({version_of(launch)})", *(cell() for cell in cells))


def ctrl_c(launch: Launch, seen: str) -> str:
    """Which processes may get SIGINT."""
    if launch.ctrl_c == NOBODY:
        return "ends at once"
    return f"{seen}, to the parent alone" if launch.ctrl_c == PARENT else seen


def version_of(launch: Launch) -> str:
    """The version of the server, if it is installed."""
    return "not installed" if launch.missing() else version(launch.distribution)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
