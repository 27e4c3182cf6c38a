"""
The real ``manage.py`` in processes of its own, on a database of its own.

A test that needs a process waits on facts, never on time: a line of output, the exit, or a row.
Everything that a ``Project`` starts is in a process group of its own, and that group is all that
it ever kills.
"""

import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote, urlsplit
from uuid import uuid4

import environ
import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0
"""Seconds to wait for a fact: enough for a loaded machine, never waited for in full otherwise."""

SETTINGS_ENVIRONMENT = {
    "ENV_FILE": os.devnull,
    "SECRET_KEY": "a-key-for-the-tests-only-but-long-enough-to-pass-the-checks-0123456789",
    "DEBUG": "false",
    "HOSTING_AUTOSTART": "auto",
    "SECURE_SSL_REDIRECT": "false",
    "SECURE_COOKIES": "false",
    "SECURE_HSTS_SECONDS": "0",
}
"""What the settings read, so that no developer's ``.env`` and no exported variable is read."""

OBSERVER = "tests"
"""The name under which the tests themselves look into PostgreSQL."""

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


class ManagedProcess:
    """
    One running ``manage.py`` command, with its output (standard error included) line by line.

    ``program`` is what Python runs instead of ``manage.py``, such as ``("-m", "django")``;
    ``executable`` runs it instead of Python. ``inside`` is a command that runs the one that follows
    it somewhere else, as the same process.
    """

    def __init__(
        self,
        arguments: tuple[str, ...],
        environment: Mapping[str, str],
        *,
        program: tuple[str, ...] = ("manage.py",),
        executable: str = sys.executable,
        inside: tuple[str, ...] = (),
        terminal: bool = False,
    ) -> None:
        self.arguments = (*program, *arguments)
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._keyboard: int | None = None
        with ExitStack() as opened:
            keyboard_of_child = self._open_terminal(opened) if terminal else subprocess.DEVNULL
            self._process = subprocess.Popen(
                [*inside, executable, *self.arguments],
                cwd=ROOT,
                env=dict(environment),
                stdin=keyboard_of_child,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name=f"read {self}", daemon=True)
        self._reader.start()

    def __str__(self) -> str:
        return " ".join(self.arguments)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lines(self) -> list[str]:
        """The lines so far, without their line ends."""
        with self._changed:
            return list(self._lines)

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_for_line(
        self, pattern: str, timeout: float = PATIENCE, *, count: int = 1
    ) -> re.Match[str]:
        """
        The match in the ``count``-th line in which ``pattern`` is found, old lines included.

        Raises AssertionError, with all the output, after ``timeout`` seconds, and at once when the
        output ends without such a line.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                matches = [match for line in self._lines if (match := re.search(pattern, line))]
                if len(matches) >= count:
                    return matches[count - 1]
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._changed.wait(left)
        reason = "ended" if self._ended else f"ran for {timeout:g} s"
        raise AssertionError(
            f"{self} {reason} with {len(matches)} of {count} lines like {pattern!r}:\n{self.output}"
        )

    def wait_exit(self, timeout: float = PATIENCE) -> int:
        """
        The exit code, negative for a signal, once all the output is in ``lines``.

        Raises AssertionError, with all the output, when the process outlives ``timeout`` seconds.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} still ran after {timeout:g} s:\n{self.output}") from None
        self._reader.join(PATIENCE)
        return code

    def wait_all_gone(self, timeout: float = PATIENCE) -> int:
        """
        The exit code, once the children are gone as well: nobody holds the output any more.

        Raises AssertionError, with all the output, when one of them outlives ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        code = self.wait_exit(timeout)
        self._reader.join(max(0.0, deadline - time.monotonic()))
        if self._reader.is_alive():
            raise AssertionError(f"children of {self} outlived it {timeout:g} s:\n{self.output}")
        return code

    def terminate(self) -> None:
        """SIGTERM to this process alone, as a supervisor sends it."""
        self.send(signal.SIGTERM)

    def interrupt(self) -> None:
        """SIGINT to the whole process group, as Ctrl-C at a terminal sends it."""
        self.send_to_group(signal.SIGINT)

    def send(self, number: int) -> None:
        """The signal to this process alone."""
        self._process.send_signal(number)

    def send_to_group(self, number: int) -> None:
        """The signal to this process and its children."""
        os.killpg(self.pid, number)

    def type(self, text: str) -> None:
        """Type ``text`` at the keyboard of a process that was started with ``terminal=True``."""
        assert self._keyboard is not None, "started without terminal=True"
        os.write(self._keyboard, text.encode())

    def terminal_settings(self) -> list[Any]:
        """The modes of the terminal of a process that was started with ``terminal=True``."""
        assert self._keyboard is not None, "started without terminal=True"
        return termios.tcgetattr(self._keyboard)

    def close(self) -> None:
        """Kill what is left of the process group and free everything. May be called twice."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(PATIENCE)
        if self._process.stdout:
            self._process.stdout.close()
        if self._keyboard is not None:
            os.close(self._keyboard)
            self._keyboard = None

    def _open_terminal(self, opened: ExitStack) -> int:
        self._keyboard, keyboard_of_child = pty.openpty()
        opened.callback(os.close, keyboard_of_child)
        return keyboard_of_child

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\r\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class Project:
    """This project on a fresh, migrated database: what a user has after ``make migrate``."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self._processes: list[ManagedProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def environment(self, env: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """The variables of a process: the tests' own, changed by ``env``, where None takes away."""
        changed: dict[str, str | None] = {
            **{name: os.environ.get(name) for name in INHERITED},
            **SETTINGS_ENVIRONMENT,
            "DATABASE_URL": self.database_url,
            "DJANGO_RUNSERVER_HIDE_WARNING": "true",
            "PYTHONUNBUFFERED": "1",
            # Django's reloader may be told to end while it looks through a directory.
            "PYTHONWARNINGS": "error,ignore:unclosed scandir iterator:ResourceWarning",
            **(env or {}),
        }
        return {name: value for name, value in changed.items() if value is not None}

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        program: tuple[str, ...] = ("manage.py",),
        executable: str = sys.executable,
        inside: tuple[str, ...] = (),
        terminal: bool = False,
    ) -> ManagedProcess:
        """Start ``manage.py ARGUMENTS`` and return at once; ``terminal`` gives it a keyboard."""
        process = ManagedProcess(
            arguments,
            self.environment(env),
            program=program,
            executable=executable,
            inside=inside,
            terminal=terminal,
        )
        self._processes.append(process)
        return process

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        program: tuple[str, ...] = ("manage.py",),
        timeout: float = PATIENCE,
        code: int | None = 0,
    ) -> ManagedProcess:
        """
        Run ``manage.py ARGUMENTS`` to its end.

        Raises AssertionError, with the output, when it exits with another code than ``code``; None
        takes any.
        """
        process = self.start(*arguments, env=env, program=program)
        found = process.wait_exit(timeout)
        if code is not None and found != code:
            raise AssertionError(f"{process} exited with {found}, not {code}:\n{process.output}")
        return process

    def runserver(
        self, *options: str, env: Mapping[str, str | None] | None = None
    ) -> tuple[ManagedProcess, str]:
        """Start ``runserver`` on a free port; once it is bound, the process and its root URL."""
        process = self.start("runserver", "127.0.0.1:0", *options, env=env)
        line = process.wait_for_line(r"Starting .*server at (http://\S+)")
        return process, line[1]

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of an SQL ``statement`` (``%s`` marks a parameter), committed at once."""
        if self.database_url.startswith("sqlite:"):
            with closing(sqlite3.connect(sqlite_path(self.database_url), timeout=20)) as database:
                rows = database.execute(statement.replace("%s", "?"), parameters).fetchall()
                database.commit()
                return rows
        with connect(self.database_url) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def wait_for_rows(
        self, statement: str, *parameters: object, timeout: float = PATIENCE
    ) -> list[tuple[Any, ...]]:
        """
        The rows of ``statement`` as soon as it has one.

        A database in another process cannot call back, so this asks it 20 times a second. Raises
        AssertionError after ``timeout`` seconds.
        """
        deadline, pause = time.monotonic() + timeout, threading.Event()
        while not (rows := self.rows(statement, *parameters)):
            if time.monotonic() > deadline:
                outputs = "\n".join(f"--- {each}\n{each.output}" for each in self._processes)
                raise AssertionError(f"no row after {timeout:g} s: {statement}\n{outputs}")
            pause.wait(0.05)
        return rows

    def close(self) -> None:
        """Kill the processes that are left."""
        for process in self._processes:
            process.close()


class Databases(Protocol):
    """Makes fresh, migrated databases of one vendor, quickly: each is a copy of one template."""

    def fresh(self) -> AbstractContextManager[str]:
        """The URL of a new database, which is dropped when the block ends."""

    def close(self) -> None:
        """Drop the template."""


class SQLiteDatabases:
    """Files in ``directory``, copied from one that is migrated."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._template = directory / "template.sqlite3"
        _migrate(_sqlite_url(self._template))

    @contextmanager
    def fresh(self) -> Iterator[str]:
        path = self._directory / f"{uuid4().hex}.sqlite3"
        shutil.copy(self._template, path)
        try:
            yield _sqlite_url(path)
        finally:
            for left in self._directory.glob(f"{path.name}*"):
                left.unlink()

    def close(self) -> None:
        """Nothing to do: pytest removes the directory."""


class PostgreSQLDatabases:
    """Databases beside the one that ``url`` names, created from one that is migrated."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._template = f"hosting_template_{uuid4().hex[:12]}"
        self._execute("CREATE DATABASE {}", self._template)
        try:
            _migrate(self._url_of(self._template))
        except BaseException:
            self.close()
            raise

    @contextmanager
    def fresh(self) -> Iterator[str]:
        name = f"hosting_{uuid4().hex[:12]}"
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, self._template)
        try:
            yield self._url_of(name)
        finally:
            self._execute("DROP DATABASE {} WITH (FORCE)", name)

    def close(self) -> None:
        """Drop the template."""
        self._execute("DROP DATABASE {} WITH (FORCE)", self._template)

    def _execute(self, statement: str, *names: str) -> None:
        identifiers = (sql.Identifier(name) for name in names)
        with connect(self._url) as connection:
            connection.execute(sql.SQL(statement).format(*identifiers))

    def _url_of(self, name: str) -> str:
        parts = urlsplit(self._url)
        return parts._replace(path=f"{parts.path.rpartition('/')[0]}/{name}").geturl()


def databases(url: str | None, directory: Path) -> Databases:
    """Databases of the vendor of ``url``; SQLite, its files in ``directory``, when it is None."""
    if url is None or url.startswith("sqlite:"):
        return SQLiteDatabases(directory)
    return PostgreSQLDatabases(url)


def connect(url: str) -> psycopg.Connection[Any]:
    """A connection of its own to the PostgreSQL database ``url``; each statement commits."""
    config = environ.Env.db_url_config(url)
    return psycopg.connect(
        dbname=config["NAME"],
        user=config["USER"] or None,
        password=config["PASSWORD"] or None,
        host=config["HOST"] or None,
        port=config["PORT"] or None,
        autocommit=True,
        application_name=OBSERVER,
        **config.get("OPTIONS", {}),
    )


def _migrate(url: str) -> None:
    with Project(url) as project:
        project.run("migrate", "--no-input", timeout=2 * PATIENCE)


def _sqlite_url(path: Path) -> str:
    return "sqlite:///" + quote(str(path))


def sqlite_path(url: str) -> str:
    return str(environ.Env.db_url_config(url)["NAME"])
