"""On what the numbers were measured."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psycopg

from bench.place import POSTGRESQL, Place

_LIBRARIES = ["Django", "django-tasks", "psycopg", "asyncpg", "uvloop", "redis"]
_SETTINGS = "SELECT current_setting(%s), current_setting(%s), current_setting(%s)"
_PEERS = ["django-tasks-db", "procrastinate", "pgqueuer", "huey", "celery", "dramatiq", "rq"]


def versions(
    host: str, redis: str, packages: Iterable[str] = (*_LIBRARIES, *_PEERS)
) -> Mapping[str, str]:
    """Names and versions; `host` and `redis` are the servers' sockets."""
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": f"{_cpu()}, {os.cpu_count()} cores",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "PostgreSQL": _postgresql(host),
        "SQLite": sqlite3.sqlite_version,
        "commit": _output("git", "rev-parse", "--short", "HEAD"),
    }
    if redis:
        found["Redis server"] = _output("redis-server", "--version").partition("v=")[2].split()[0]
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _postgresql(host: str) -> str:
    with psycopg.connect(Place("", POSTGRESQL, "postgres", host).dsn) as connection:
        settings = ("server_version", "fsync", "synchronous_commit")
        row = connection.execute(_SETTINGS, settings).fetchone()
    return "{}, fsync {}, synchronous_commit {}".format(*row) if row else "unknown"


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
