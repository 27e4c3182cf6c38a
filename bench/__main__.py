"""The command line: `python -m bench [--quick] [--rounds N] [--only MEASURE,…] …`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import chart, page, table
from bench.peers import ENTRIES
from bench.results import DIRECTORY, LATEST, Results
from bench.run import ALL_DATABASES, Options, new_results, run
from bench.server import servers
from bench.versions import versions

_FULL = {
    "rounds": 5,
    "scale": 1.0,
    "waiting": 1_000_000,
    "samples": 200,
    "idle_seconds": 20.0,
    "snapshot_seconds": 300.0,
    "limit": 60.0,
}
#: Shows within some minutes that everything works; its numbers mean little.
_QUICK = {
    "rounds": 1,
    "scale": 0.02,
    "waiting": 5_000,
    "samples": 20,
    "idle_seconds": 3.0,
    "snapshot_seconds": 3.0,
    "limit": 10.0,
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # the servers end with it
    arguments = _parser().parse_args()
    if arguments.page:
        print(page.write(Results.load(arguments.page)))
        return
    options = _options(arguments)
    with servers() as running:
        if arguments.add:
            results = Results.load(LATEST)
            results.begin_again(options.only, versions(running.host, running.redis))
        else:
            results = new_results(options, versions(running.host, running.redis))
        run(options, running, results)
    print(table.render(results))
    path = results.save(keep=options.is_complete or arguments.add)
    drawing = path.with_suffix(".svg")
    drawing.write_text(chart.draw(results))
    print(f"\nresults: {path}\nchart:   {drawing}")


def _options(arguments: argparse.Namespace) -> Options:
    defaults = _QUICK if arguments.quick else _FULL
    sizes: dict[str, Any] = {
        name: default if (given := getattr(arguments, name)) is None else given
        for name, default in defaults.items()
    }
    databases = ALL_DATABASES if arguments.database == "both" else [arguments.database]
    return Options(
        databases=databases,
        only=arguments.only,
        peers=arguments.peers,
        quick=arguments.quick,
        **sizes,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    measures = list(dict.fromkeys(name for entry in ENTRIES for name in entry.measures))
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes and one round: does everything work?")
    add("--only", type=_one_of(measures), default=[], help=f"of {','.join(measures)}")
    names = [entry.name for entry in ENTRIES]
    add("--peers", type=_one_of(names), default=[], help=f"of {','.join(names)}")
    add("--database", choices=[*ALL_DATABASES, "both"], default="both")
    for name, value in _FULL.items():
        option = "--" + name.replace("_", "-")
        add(option, type=type(value), help=f"default: {value}, with --quick {_QUICK[name]}")
    add("--add", action="store_true", help="add what is measured to the latest results")
    written = Path("docs/performance.md")
    text = f"write {written} from results, default: {DIRECTORY.name}/{LATEST.name}, and end"
    add("--page", type=Path, nargs="?", const=LATEST, metavar="JSON", help=text)
    return parser


class _one_of:  # noqa: N801 - a converter, named for what argparse prints
    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def __call__(self, text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in self._known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
        return names


if __name__ == "__main__":
    main()
