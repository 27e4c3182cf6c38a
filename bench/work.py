"""What the jobs do, the same for every subject."""

from __future__ import annotations

import os
import time

from bench.place import Place
from bench.tally import Tally

NOOP = "noop"
INSERT = "insert"
INSERT_ATOMIC = "insert_atomic"
STAMP = "stamp"

_place = Place.of_environment()
tally = Tally(_place.path("tally"))
_stamps = os.open(_place.path("stamps"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def noop() -> None:
    """Nothing but being counted."""
    tally.count()


def stamp(sent: int) -> None:
    """Note how many nanoseconds ago the job was enqueued."""
    os.write(_stamps, b"%d\n" % (time.monotonic_ns() - sent))
