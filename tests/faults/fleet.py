"""Workers in processes of their own on one database, and what became of the jobs they executed."""

import json
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from tests.faults.scale import DEAD_AFTER, LONG
from tests.processes import PATIENCE, ManagedProcess, Project
from tests.projects import declare

T = TypeVar("T")

PROGRAM = ("-m", "tests.faults.program")
ENQUEUE = ("-m", "tests.faults.enqueue")

POSTGRESQL_LOG = """
    CREATE TABLE faults_log (
        seq bigserial PRIMARY KEY, job text, number integer, pid integer, attempt integer,
        at timestamptz DEFAULT clock_timestamp()
    )
"""
SQLITE_LOG = """
    CREATE TABLE faults_log (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, job text, number integer, pid integer,
        attempt integer, at text DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')
    )
"""
#: What a database says that is away for a moment.
AWAY = (psycopg.OperationalError, sqlite3.OperationalError)


@dataclass(frozen=True)
class Account:
    """What became of the jobs that were enqueued."""

    enqueued: int
    successful: int
    failed: int
    left: int  # that have not ended
    executed: int  # different jobs that ran at least once
    duplicates: int  # times that a job ran after its first

    @property
    def lost(self) -> int:
        return self.enqueued - self.successful


class Fleet:
    """The workers of a project: `hosting` is its HOSTING, `options` those of its task backend.

    `services` are entries of HOSTED_SERVICES beside the worker.
    """

    def __init__(
        self,
        project: Project,
        *,
        concurrency: int = 4,
        keeps_connections: bool = False,
        services: Sequence[object] = (),
        hosting: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.project = project
        self.workers: list[ManagedProcess] = []
        self.ended: list[ManagedProcess] = []
        self._enqueued = 0
        worker = {"SERVICE": "hosting.TaskWorker", "OPTIONS": {"concurrency": concurrency}}
        backend = {
            "BACKEND": "hosting.queues.DatabaseBackend",
            "QUEUES": [],
            "OPTIONS": {"DEAD_AFTER": DEAD_AFTER, **options},
        }
        self._environment = declare(
            worker,
            *services,
            settings={"TASKS": {"default": backend}, "HOSTING": dict(hosting or {})},
        )
        if keeps_connections:
            self._environment["DATABASE_URL"] = f"{project.database_url}?conn_max_age=60"
        is_sqlite = project.database_url.startswith("sqlite:")
        project.rows(SQLITE_LOG if is_sqlite else POSTGRESQL_LOG)

    # Processes

    def start(
        self, count: int = 1, *options: str, inside: tuple[str, ...] = (), **env: str
    ) -> list[ManagedProcess]:
        """Start so many workers, with these options; `inside` is as for `ManagedProcess`."""
        given = {**self._environment, **env}
        started = [
            self.project.start("runworker", *options, env=given, program=PROGRAM, inside=inside)
            for _ in range(count)
        ]
        self.workers += started
        return started

    def start_one(self, **env: str) -> ManagedProcess:
        """Start a worker, and wait until it is one of the fleet."""
        [worker] = self.start(1, **env)
        self.wait_until(lambda: self.is_present(worker) or not worker.is_running, "it is present")
        assert worker.is_running, worker.output
        return worker

    def enqueueing(self, task: str, count: int, *options: str, **env: str) -> ManagedProcess:
        """A process that enqueues so many calls of the task."""
        arguments = (task, str(self._enqueued), str(count), *options)
        self._enqueued += count
        return self.project.start(*arguments, env={**self._environment, **env}, program=ENQUEUE)

    def enqueue(
        self, task: str, count: int, *arguments: object, after: float = 0, **env: str
    ) -> None:
        """Have so many calls of the task enqueued; they are when this returns."""
        given = (f"--arguments={json.dumps(arguments)}", f"--after={after}")
        process = self.enqueueing(task, count, *given, **env)
        assert process.wait_exit(LONG) == 0, process.output

    def note_enqueued(self, count: int) -> None:
        """Count so many jobs that others have enqueued."""
        self._enqueued += count

    def kill(self, worker: ManagedProcess) -> int:
        """SIGKILL; how many jobs the worker held at that moment."""
        worker.send(signal.SIGKILL)
        held = self.held(worker)
        worker.wait_exit()
        self.note_end(worker)
        return held

    def note_end(self, worker: ManagedProcess) -> None:
        """Count a worker that has ended among those no more."""
        self.workers.remove(worker)
        self.ended.append(worker)

    def stop(self) -> None:
        """SIGTERM to all; raises AssertionError for one that does not end well."""
        for worker in self.workers:  # one that still starts would end by the signal itself
            worker.wait_for_line("Hosting ")
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            code = worker.wait_exit(2 * PATIENCE)
            assert code == 0, f"exit code {code}\n{worker.output}"
        self.ended += self.workers
        self.workers = []

    # What is known

    def number(self, statement: str, *parameters: object) -> int:
        [(number,)] = self.project.rows(statement, *parameters)
        return int(number)

    def held(self, worker: ManagedProcess) -> int:
        """How many jobs the worker holds."""
        return self.number(
            "SELECT count(*) FROM hosting_job WHERE state = 'running' AND claimed_by LIKE %s",
            f"%:{worker.pid}:%",
        )

    def is_present(self, worker: ManagedProcess) -> bool:
        """Whether the worker has said that it lives."""
        return bool(
            self.number(
                "SELECT count(*) FROM hosting_hostprocess WHERE pid = %s"
                " AND alive_until IS NOT NULL",
                worker.pid,
            )
        )

    def results(self) -> int:
        """How many jobs have ended."""
        return self.number("SELECT count(*) FROM hosting_jobresult")

    def workers_of(self) -> dict[int, list[str]]:
        """Which processes have executed each job that has ended, by its number."""
        rows = self.project.rows("SELECT args, worker_ids FROM hosting_jobresult")
        return {json.loads(args)[0]: json.loads(ids) for args, ids in rows}

    def lines(self, pattern: str) -> list[str]:
        """The lines that any worker has written with this pattern in them."""
        processes = [*self.ended, *self.workers]
        return [line for each in processes for line in each.lines if re.search(pattern, line)]

    def account(self) -> Account:
        count, log = "SELECT count(*) FROM hosting_jobresult WHERE status = %s", "FROM faults_log"
        executed = self.number(f"SELECT count(DISTINCT number) {log}")
        return Account(
            enqueued=self._enqueued,
            successful=self.number(count, "SUCCESSFUL"),
            failed=self.number(count, "FAILED"),
            left=self.number("SELECT count(*) FROM hosting_job"),
            executed=executed,
            duplicates=self.number(f"SELECT count(*) {log}") - executed,
        )

    # Waiting for facts

    def wait_until(self, fact: Callable[[], T], what: str, timeout: float = LONG) -> T:
        """
        What `fact` gives, once that is true; a database that is away gives nothing.

        Raises AssertionError, with what the workers have written, after `timeout` seconds.
        """
        deadline, pause = time.monotonic() + timeout, threading.Event()
        while True:
            try:
                if found := fact():
                    return found
            except AWAY as error:
                what_else: object = error
            else:
                what_else = ""
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {timeout:g} s: {what} {what_else}\n{self._described()}"
                )
            pause.wait(0.03)

    def wait_for_results(self, count: int | None = None, timeout: float = LONG) -> None:
        """Wait until so many jobs have ended; default: all."""
        wanted = self._enqueued if count is None else count
        self.wait_until(lambda: self.results() >= wanted, f"{wanted} jobs have ended", timeout)

    def wait_for_output(self, pattern: str, count: int = 1) -> None:
        """Wait until the workers have written so many lines with this pattern in them."""
        self.wait_until(lambda: len(self.lines(pattern)) >= count, f"{count} lines {pattern!r}")

    def _described(self) -> str:
        parts = [f"{self._enqueued} enqueued"]
        for statement in (
            "SELECT status, count(*) FROM hosting_jobresult GROUP BY status",
            "SELECT state, claimed_by, count(*), min(due_at) FROM hosting_job"
            " GROUP BY state, claimed_by",
            "SELECT id, alive_until FROM hosting_hostprocess",
        ):
            try:
                parts.append(str(self.project.rows(statement)))
            except AWAY as error:
                parts.append(str(error))
        for each in [*self.ended, *self.workers]:
            tail = "\n".join(each.lines[-60:])
            parts.append(f"--- {each.pid} {'runs' if each.is_running else 'has ended'}\n{tail}")
        return "\n".join(parts)


def report(scenario: str, **figures: object) -> None:
    """Print the figures of a scenario: `pytest -s` and `make soak` show them."""
    given = ", ".join(f"{name} {value}" for name, value in figures.items())
    print(f"\n[{scenario}] {given}")
