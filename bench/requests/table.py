"""The tables of a run as text: for each server and database, the host off, idle and busy."""

from __future__ import annotations

import statistics

from bench.percentiles import CERTAIN, median_interval
from bench.requests.run import AT_REST
from bench.requests.sites import State
from bench.results import Results, key
from bench.table import Row, aligned

#: Of the throughput with the host off, what an idle host is to leave.
GOAL = 0.99

HEADER = (
    "host",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "against off",
    "from",
    "to",
    "jobs/s",
    "at rest",
)

_NOTES = """Rounds: {rounds}, of {seconds:g} s for each row. Connections: {connections}.
Medians of the rounds. Against off: the requests/s by those with the host off in the same round, and
from where to where their median lies with 95 % certainty, if there were six rounds at least. At
rest: the share of a core that the server takes without load, in percent, in {at_rest:g} s."""


def render(results: Results) -> str:
    """All tables, with what they were measured on."""
    measured_on = ", ".join(f"{name}: {value}" for name, value in results.versions.items())
    subjects = dict.fromkeys(tuple(name.split("/")[:2]) for name in results.rounds)
    tables = [_table(results, server, database) for server, database in subjects]
    return "\n\n".join([measured_on, *tables, _NOTES.format(**results.options)])


def _table(results: Results, server: str, database: str) -> str:
    names = {state: key(server, database, state) for state in State}
    ratios = {
        state: results.ratios(names[state], names[State.OFF], "requests_per_second")
        for state in (State.IDLE, State.BUSY)
    }
    rows = [_row(results, state, names[state], ratios.get(state, [])) for state in State]
    goal = f"an idle host leaves {GOAL:.0%} of the throughput: {_verdict(ratios[State.IDLE])}"
    return f"{server}, {database}\n{aligned([HEADER, *rows])}\n{goal}"


def _row(results: Results, state: State, name: str, ratios: list[float]) -> Row:
    against_off = (statistics.median(ratios), *median_interval(ratios)) if ratios else ()
    return (
        state,
        _median(results, name, "requests_per_second", ",.0f"),
        _median(results, name, "p50_ms", ".2f"),
        _median(results, name, "p99_ms", ".2f"),
        *(f"{value:.3f}" for value in against_off),
        *("-" for _ in range(3 - len(against_off))),
        _median(results, name, "jobs_per_second", ",.0f") if state is State.BUSY else "-",
        _median(results, f"{name}/rest", AT_REST, ".2f"),
    )


def _verdict(ratios: list[float]) -> str:
    least, greatest = median_interval(ratios)
    if len(ratios) >= CERTAIN and least >= GOAL:
        return "yes"
    if len(ratios) >= CERTAIN and greatest < GOAL:
        return "NO"
    return "the rounds are too few, or differ too much, to tell"


def _median(results: Results, name: str, number: str, form: str) -> str:
    spread = results.spread(name, number)
    return format(spread.median, form) if spread else "-"
