"""The command line: `python -m bench.dashboard [--rows N] [--database NAME] [--plans]`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from bench.dashboard import __doc__ as method
from bench.place import POSTGRESQL, SQLITE
from tests.postgresql import temporary_cluster

_DATABASES = (SQLITE, POSTGRESQL)


def main() -> None:
    arguments = _parser().parse_args()
    databases = _DATABASES if arguments.database == "both" else (arguments.database,)
    with tempfile.TemporaryDirectory() as directory:
        for database in databases:
            place: Any = nullcontext(f"sqlite:///{Path(directory) / 'dashboard.sqlite3'}")
            with temporary_cluster() if database == POSTGRESQL else place as url:
                _measure(url, arguments)


def _measure(url: str, arguments: argparse.Namespace) -> None:
    # In a process of its own, as Django is set up once for one database.
    command = [sys.executable, "-m", "bench.dashboard.run", str(arguments.rows)]
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    subprocess.run([*command, *(["plans"] if arguments.plans else [])], env=environment, check=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.dashboard",
        description=method,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=int, default=1_000_000, help="of each table, default: %(default)s")
    add("--database", choices=[*_DATABASES, "both"], default="both", help="default: %(default)s")
    add("--plans", action="store_true", help="how the slowest statement of each page is executed")
    return parser


if __name__ == "__main__":
    main()
