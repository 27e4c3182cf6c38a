"""The cells of a comparison: each site once, then each site again in another order."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.requests.servers import Server
from bench.requests.sites import Site, State, serving
from bench.results import Results, key
from bench.server import Servers
from bench.waiting import pause

#: The name of the share of a processor's core that a site takes without load, in percent.
AT_REST = "core_percent"


@dataclass(frozen=True, slots=True)
class Options:
    """The sizes of a run; times are in seconds."""

    rounds: int
    seconds: float  # of load, in each cell
    at_rest: float  # without any load, in which the processor time is taken
    warm_up: float = 0.5  # of load before those
    connections: int = 4


def compare(
    server: Server, database: str, running: Servers, options: Options, results: Results
) -> None:
    """Measure a server with its host off, idle and busy, and add the numbers of each round."""
    with ExitStack() as stack:
        places = [stack.enter_context(running.place(database)) for _ in State]
        sites = [
            stack.enter_context(serving(server, state, place))
            for state, place in zip(State, places, strict=True)
        ]
        _rest(sites, options.at_rest, results)
        orders = itertools.cycle(itertools.permutations(sites))
        for round_, order in zip(range(1, options.rounds + 1), orders, strict=False):
            for site in order:
                numbers = site.measure(options.connections, options.warm_up, options.seconds)
                name = key(server.name, database, site.state)
                results.add(name, {"numbers": numbers})
                shown = ", ".join(f"{each} {value:,.4g}" for each, value in numbers.items())
                progress = f"[{round_}/{options.rounds}] {name}: {shown}"
                print(progress, file=sys.stderr, flush=True)


def _rest(sites: Sequence[Site], seconds: float, results: Results) -> None:
    before = [site.cpu_seconds() for site in sites]
    pause(seconds)
    for site, cpu in zip(sites, before, strict=True):
        taken = 100 * (site.cpu_seconds() - cpu) / seconds
        name = f"{key(site.server.name, site.place.database, site.state)}/rest"
        results.add(name, {"numbers": {AT_REST: taken}})
        print(f"{name}: {taken:.2f} % of a core", file=sys.stderr, flush=True)
