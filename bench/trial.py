"""One measurement in a process of its own; run by `bench.run`, which passes the place on.

    python -m bench.trial MEASURE MODULE '{"peer": …, "jobs": …}'

The last line of its output is JSON: {"numbers": …} or {"skipped": why}.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
from typing import Any

from bench.measures import MEASURES
from bench.order import CannotBeMeasured, Order


def main(measure: str, module: str, sizes: str) -> dict[str, Any]:
    try:
        subject = importlib.import_module(f"bench.peers.{module}").Peer()
    except ImportError as error:
        return {"skipped": f"not installed: {error}"}
    subject.install()
    try:
        return {"numbers": MEASURES[measure](Order(subject=subject, **json.loads(sizes)))}
    except CannotBeMeasured as reason:
        return {"skipped": str(reason)}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # the workers end with it
    print(json.dumps(main(*sys.argv[1:])), flush=True)
