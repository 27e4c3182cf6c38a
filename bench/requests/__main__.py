"""The command line: `python -m bench.requests [--rounds N] [--seconds S] [--server NAME] …`."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from bench import server
from bench.place import POSTGRESQL, SQLITE
from bench.requests import __doc__ as method
from bench.requests import table
from bench.requests.run import Options, compare
from bench.requests.servers import SERVERS
from bench.results import Results
from bench.versions import versions

_DATABASES = (POSTGRESQL, SQLITE)
_PACKAGES = ("Django", "gunicorn", "uvicorn", "uvloop", "httptools", "psycopg")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # the servers end with it
    arguments = _parser().parse_args()
    names = list(SERVERS) if arguments.server == "all" else [arguments.server]
    databases = _DATABASES if arguments.database == "both" else (arguments.database,)
    options = Options(arguments.rounds, arguments.seconds, arguments.rest)
    with server.servers(with_redis=False) as running:
        results = Results(versions(running.host, "", _PACKAGES), asdict(options))
        for database in databases:
            for name in names:
                compare(SERVERS[name], database, running, options, results)
                if arguments.save:
                    results.write(arguments.save)
    print(table.render(results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.requests",
        description=method,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rounds", type=int, default=9, help="default: %(default)s")
    add("--seconds", type=float, default=4, help="of load in a cell, default: %(default)s")
    add("--rest", type=float, default=20, help="seconds without load, default: %(default)s")
    add("--server", choices=[*SERVERS, "all"], default="all", help="default: %(default)s")
    add("--database", choices=[*_DATABASES, "both"], default="both", help="default: %(default)s")
    add("--save", type=Path, metavar="JSON", help="write the numbers of every round to this file")
    return parser


if __name__ == "__main__":
    main()
