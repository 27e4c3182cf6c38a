"""Where one trial runs: its directory, its database and the Redis server, passed by environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

POSTGRESQL = "postgresql"
SQLITE = "sqlite"

#: Variants of subjects on SQLite: every commit waits for the disk, or none ever does.
FULL = "full"
FAST = "fast"

#: The variable that names other services than the worker, as JSON.
SERVICES = "BENCH_SERVICES"

_PREFIX = "BENCH_"


@dataclass(frozen=True, slots=True)
class Place:
    """One trial's place; empty where there is none of a kind."""

    directory: str
    database: str  # POSTGRESQL or SQLITE
    name: str = ""  # of the PostgreSQL database
    host: str = ""  # the directory of PostgreSQL's socket
    redis: str = ""  # the path of Redis' socket
    variant: str = ""  # of the subject

    @classmethod
    def of_environment(cls) -> Place:
        """The place that the parent process passed on."""
        return cls(**{name: os.environ.get(_PREFIX + name.upper(), "") for name in cls.__slots__})

    def environment(self) -> Mapping[str, str]:
        return {_PREFIX + name.upper(): value for name, value in asdict(self).items()}

    def path(self, name: str) -> Path:
        """A file of this trial; raises RuntimeError outside one, where it would lie about."""
        if not self.directory:
            raise RuntimeError(
                f"{_PREFIX}DIRECTORY is not set, as it is in what `make bench` runs."
            )
        return Path(self.directory) / name

    @property
    def dsn(self) -> str:
        """For libpq and asyncpg."""
        return f"postgresql://postgres@/{self.name}?host={self.host}"

    @property
    def django(self) -> dict[str, Any]:
        """For DATABASES, as the documentation of the product recommends it."""
        if self.database == POSTGRESQL:
            return {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": self.name,
                "HOST": self.host,
                "USER": "postgres",
                "CONN_MAX_AGE": 60,
                "OPTIONS": {"prepare_threshold": 5},
            }
        synchronous = "FULL" if self.variant == FULL else "NORMAL"
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": self.path("db.sqlite3"),
            "CONN_MAX_AGE": 60,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};",
            },
        }
