"""The servers of a run: a temporary PostgreSQL and, if it is on PATH, a temporary Redis."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psycopg
from psycopg import sql

from bench.place import POSTGRESQL, Place
from bench.waiting import wait_until
from tests.postgresql import socket_of, temporary_cluster


class Servers:
    """Gives every trial a place of its own."""

    def __init__(self, directory: Path, host: str, redis: str) -> None:
        self.directory = directory
        self.host = host
        self.redis = redis

    @contextmanager
    def place(self, database: str) -> Iterator[Place]:
        """A new directory, a new database, and an empty Redis; gone when the block ends."""
        directory = Path(tempfile.mkdtemp(dir=self.directory))
        name = directory.name.lower() if database == POSTGRESQL else ""
        if name:
            self._execute("CREATE DATABASE {}", name)
        if self.redis:
            command = ["redis-cli", "-s", self.redis, "FLUSHALL"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        try:
            yield Place(str(directory), database, name, self.host, self.redis)
        finally:
            if name:
                self._execute("DROP DATABASE {} WITH (FORCE)", name)
            shutil.rmtree(directory, ignore_errors=True)

    def _execute(self, statement: str, name: str) -> None:
        dsn = Place("", POSTGRESQL, "postgres", self.host).dsn
        with psycopg.connect(dsn, autocommit=True) as connection:
            # Each trial begins with what the one before left behind written out.
            connection.execute("CHECKPOINT")
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@contextmanager
def servers(*, with_redis: bool = True) -> Iterator[Servers]:
    """The servers, in a temporary directory; every one listens on a Unix socket only."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as directory,
        temporary_cluster() as url,
        _redis(Path(directory)) if with_redis else nullcontext("") as redis,
    ):
        yield Servers(Path(directory), socket_of(url), redis)


@contextmanager
def _redis(directory: Path) -> Iterator[str]:
    """The path of a Redis server's socket, which keeps nothing on disk; "" if there is none."""
    program = shutil.which("redis-server")
    if program is None:
        yield ""
        return
    socket = directory / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(
        [program, *options], cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(socket.exists, "Redis listens", 10)
        yield str(socket)
    finally:
        process.terminate()
        process.wait()
