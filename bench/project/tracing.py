"""Counts the statements of this process's SQLite connections into a file, if told to."""

from __future__ import annotations

import os
from typing import Any

from django.db.backends.signals import connection_created

from bench.place import Place

#: The variable that asks for it.
SWITCH = "BENCH_TRACE"


def install() -> None:
    if os.environ.get(SWITCH):
        connection_created.connect(_trace, weak=False)


def _trace(connection: Any, **kwargs: object) -> None:
    if connection.vendor == "sqlite":
        path = Place.of_environment().path("statements")
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        connection.connection.set_trace_callback(lambda statement: os.write(file, b"."))
