"""`manage.py` in a process whose clock is wrong, or which waits less long for its database.

CLOCK_SHIFT is by how many seconds the clock is ahead; PATIENCE is for how many seconds a worker
waits for one statement.
"""

import datetime
import os
import sys
import time
from importlib import import_module
from typing import Any


def shift_clock(seconds: float) -> None:
    """Have this process believe that it is so many seconds later."""
    real_time, real_time_ns, real_datetime = time.time, time.time_ns, datetime.datetime

    class Posing(type):
        """Every datetime is one of the class that takes its place."""

        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, real_datetime)

    class ShiftedDatetime(real_datetime, metaclass=Posing):
        __slots__ = ()

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return real_datetime(*args, **kwargs)

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real_datetime.now(tz) + datetime.timedelta(seconds=seconds)

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: real_time_ns() + int(seconds * 1e9)
    datetime.datetime = ShiftedDatetime


def lose_patience(seconds: float) -> None:
    """Have this process give each statement of a worker only so many seconds."""
    import django

    django.setup()
    for name in ("atomic", "maintenance", "stores.listener", "shift", "shiftend"):
        module: Any = import_module(f"hosting.queues.{name}")
        assert module.PATIENCE
        module.PATIENCE = seconds


def main() -> None:
    if shift := float(os.environ.get("CLOCK_SHIFT", "0")):
        shift_clock(shift)
    if patience := float(os.environ.get("PATIENCE", "0")):
        lose_patience(patience)
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *sys.argv[1:]])


if __name__ == "__main__":
    main()
