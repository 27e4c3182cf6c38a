"""What is known of a database's settings before anything is asked of it, for each vendor."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from django.db import Error, connections

from hosting.queues.stores import STORES
from hosting.queues.stores.files import open_for_good

#: Seconds that a writer should wait for its turn on SQLite, as sqlite3 has it by default.
PATIENCE = 5.0

#: How many connections psycopg's pool keeps where nothing is said.
POOL_SIZE = 4


class Advice(NamedTuple):
    """One thing that will be trouble: its id as a system check, what was found, what to do."""

    id: str
    found: str
    todo: str


def advice_on(alias: str) -> Iterator[Advice]:
    """What in the settings of this database will be trouble for several threads or processes."""
    if connections[alias].vendor == "sqlite":
        yield from _advice_on_sqlite(connections[alias].settings_dict)


def is_known(alias: str) -> bool:
    """Whether this is a database for which there is a store of its own, so a real one."""
    return connections[alias].vendor in STORES


def pool_size(alias: str) -> int | None:
    """How many connections a process may have at once, by the settings; None: any number."""
    pool = connections[alias].settings_dict.get("OPTIONS", {}).get("pool")
    if connections[alias].vendor != "postgresql" or not pool:
        return None
    given: Mapping[str, Any] = pool if isinstance(pool, Mapping) else {}
    most = given.get("max_size")
    return int(given.get("min_size", POOL_SIZE) if most is None else most)


def connections_allowed(alias: str) -> int | None:
    """How many connections the database allows to all processes; asks it. None: not known."""
    question = _QUESTIONS.get(connections[alias].vendor)
    if question is None:
        return None
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(question)
            return int(cursor.fetchone()[0])
    except Error:
        return None


_QUESTIONS = {
    "postgresql": "SELECT current_setting('max_connections')::int "
    "- current_setting('superuser_reserved_connections')::int",
    "mysql": "SELECT @@max_connections",
}


def _advice_on_sqlite(settings: Mapping[str, Any]) -> Iterator[Advice]:
    name, options = str(settings["NAME"]), settings.get("OPTIONS", {})
    command = str(options.get("init_command") or "")
    if name == ":memory:" or "mode=memory" in name:
        return
    mode = _pragma("journal_mode", command)
    if mode.upper() != "WAL" and (mode or not _is_wal(name)):
        what = "" if mode else " and the file is not in WAL mode"
        yield Advice(
            "hosting.W110",
            f"init_command is {command!r}{what}, so readers and the writer lock each other out",
            '"init_command": "PRAGMA journal_mode=WAL;"',
        )
    begins = options.get("transaction_mode")
    if str(begins).upper() not in ("IMMEDIATE", "EXCLUSIVE"):
        yield Advice(
            "hosting.W111",
            f"transaction_mode is {begins!r}, so a transaction that reads before it writes fails "
            "at once when another has written meanwhile",
            '"transaction_mode": "IMMEDIATE"',
        )
    patience = _patience(options, command)
    if patience < PATIENCE:
        yield Advice(
            "hosting.W112",
            f"a writer waits {patience:g} s for its turn, then its statement fails",
            '"timeout": 20',
        )


def _is_wal(name: str) -> bool:
    """Whether the file says so itself: bytes 18 and 19 of its header are 2 in WAL mode."""
    try:
        return os.pread(open_for_good(Path(name)), 2, 18) == b"\x02\x02"
    except OSError:
        return False


def _patience(options: Mapping[str, Any], command: str) -> float:
    """Seconds."""
    milliseconds = _pragma("busy_timeout", command)
    if milliseconds.isdecimal():
        return int(milliseconds) / 1000
    return float(options.get("timeout", PATIENCE))


def _pragma(name: str, command: str) -> str:
    """What the last such PRAGMA of a command sets, "" if there is none."""
    # Both of SQLite's spellings: `= value` and `(value)`.
    pattern = rf"\b{name}\s*[=(]\s*['\"]?(\w+)"
    return next(reversed(re.findall(pattern, command, re.IGNORECASE)), "")
