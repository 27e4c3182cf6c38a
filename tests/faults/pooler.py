"""PgBouncer, which lends connections to a PostgreSQL for one transaction each."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.faults.server import HOST, free_port

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")

_pause = threading.Event()

CONFIGURATION = """
[databases]
* = host={host} port={server} user=postgres
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
logfile = {log}
"""


class Pooler:
    """A pool of `size` connections to the PostgreSQL at that port, for as long as the block."""

    def __init__(self, server: int, size: int) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="hosting-pooler-", dir="/tmp"))
        self._file = self._directory / "pgbouncer.ini"
        log = self._directory / "log"
        log.touch()
        self._file.write_text(
            CONFIGURATION.format(host=HOST, server=server, port=self.port, size=size, log=log)
        )
        self._log = log
        for path, mode in ((self._directory, 0o777), (self._file, 0o644), (log, 0o666)):
            path.chmod(mode)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def start(self) -> None:
        """Start, and wait until it answers."""
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [str(PROGRAM), "-q", *as_user, str(self._file)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not _pause.wait(0.01):
            assert self._process.poll() is None, self._log.read_text()
            with suppress(OSError), socket.create_connection((HOST, self.port), 1):
                return

    def stop(self) -> None:
        """End at once; whoever has borrowed a connection has lost it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
