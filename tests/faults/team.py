"""Workers on hosts of their own, and the terms of the singleton in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from tests.faults.fleet import Account, Fleet
from tests.faults.network import Host
from tests.faults.scale import LEASE_TIMEOUT
from tests.faults.slots import SCHEDULE
from tests.faults.terms import TABLE
from tests.processes import ManagedProcess, Project

#: What each worker hosts beside the service that executes jobs.
SERVICES = [{"SERVICE": "tests.faults.terms.Term", "SINGLETON": True}, "hosting.Scheduler"]

TOLD = r"^fact Term (begins|ends) token=(\d+) at=(\S+) "

#: Which rows the jobs are of that have not ended, and all.
ROWS = "SELECT CAST(trim(BOTH '[]' FROM args) AS integer) AS number FROM {} WHERE args <> '[]'"
LEFT = ROWS.format("hosting_job")
ENQUEUED = f"{LEFT} UNION ALL {ROWS.format('hosting_jobresult')}"


@dataclass(frozen=True)
class Run:
    """From when to when one process ran the singleton, by the clock that all share."""

    worker: ManagedProcess
    token: int
    began: float
    ended: float = inf


class Team:
    """One worker on each host, which reaches the database by `url`."""

    def __init__(self, project: Project, hosts: Sequence[Host], url: str) -> None:
        project.rows(TABLE)
        self.fleet = Fleet(
            project,
            services=SERVICES,
            hosting={"LEASE_TIMEOUT": LEASE_TIMEOUT, "SCHEDULE": SCHEDULE},
            MAX_ATTEMPTS=100,  # a job whose own connection breaks has failed once
        )
        self._hosts: dict[ManagedProcess, Host] = {}
        for host in hosts:
            [worker] = self.fleet.start(inside=host.inside, DATABASE_URL=url)
            self._hosts[worker] = host

    def host_of(self, worker: ManagedProcess) -> Host:
        return self._hosts[worker]

    # What is known of the terms

    def runs(self) -> list[Run]:
        """All runs so far, in the order in which they began."""
        return sorted((run for each in self._hosts for run in _runs_in(each)), key=_begin)

    def tokens(self) -> list[int]:
        """The tokens that were given so far, in the order of their runs."""
        return list(dict.fromkeys(run.token for run in self.runs()))

    def disorder(self) -> int:
        """How many rows came after one with a greater token, or share one with another process."""
        before = "max(token) OVER (ORDER BY seq)"
        late = f"SELECT token, {before} AS greatest FROM faults_leases"
        shared = "SELECT token FROM faults_leases GROUP BY token HAVING count(DISTINCT pid) > 1"
        return self.fleet.number(
            f"SELECT (SELECT count(*) FROM ({late}) AS rows WHERE token < greatest)"
            f" + (SELECT count(*) FROM ({shared}) AS tokens)"
        )

    # What is known of the jobs

    def account(self) -> Account:
        """What became of the jobs, with one for each row that the singleton has written, and one
        for each slot.
        """
        for table in ("faults_leases", "hosting_scheduleslot"):
            self.fleet.note_enqueued(self.fleet.number(f"SELECT count(*) FROM {table}"))
        return self.fleet.account()

    def enqueued_twice(self) -> int:
        """How many numbers have more than one job."""
        return self.fleet.number(
            f"SELECT count(*) FROM (SELECT number FROM ({ENQUEUED}) AS jobs"
            " GROUP BY number HAVING count(*) > 1) AS numbers"
        )

    # Waiting for facts

    def wait_for_rows(self, count: int) -> None:
        """Wait until the singleton has written so many rows more."""
        rows = "SELECT count(*) FROM faults_leases"
        wanted = self.fleet.number(rows) + count
        self.fleet.wait_until(lambda: self.fleet.number(rows) >= wanted, f"{wanted} rows")

    def wait_until_one_runs(self) -> Run:
        """The run that goes on, once it is the only one, and all other processes stand by."""
        return self.fleet.wait_until(self._the_one_that_runs, "one runs, and the others stand by")

    def wait_for_token(self, token: int) -> Run:
        """The first run with a greater token."""

        def find() -> Run | None:
            return next((run for run in self.runs() if run.token > token), None)

        return self.fleet.wait_until(find, f"a token greater than {token}")

    def wait_for_end(self, run: Run) -> Run:
        """This run, once it has ended."""

        def find() -> Run | None:
            same = [each for each in _runs_in(run.worker) if each.began == run.began]
            return next((each for each in same if each.ended < inf), None)

        return self.fleet.wait_until(find, f"the run with token {run.token} has ended")

    def wait_until_all_caught_up(self) -> None:
        """Wait until the jobs have ended that there are by now."""
        last = self.fleet.number("SELECT max(seq) FROM faults_leases")
        left = f"SELECT count(*) FROM ({LEFT}) AS jobs WHERE number <= %s"
        self.fleet.wait_until(lambda: self.fleet.number(left, last) == 0, "the jobs have ended")

    def _the_one_that_runs(self) -> Run | None:
        running = [run for run in self.runs() if run.ended == inf]
        rows = self.fleet.project.rows("SELECT pid FROM hosting_hostprocess WHERE is_standing_by")
        living = {each.pid for each in self.fleet.workers}
        if len(running) != 1 or {running[0].worker.pid} != living - {pid for (pid,) in rows}:
            return None
        return running[0]


def _runs_in(worker: ManagedProcess) -> list[Run]:
    runs: list[Run] = []
    for match in filter(None, (re.search(TOLD, line) for line in worker.lines)):
        event, token, at = match[1], int(match[2]), float(match[3])
        if event == "begins":
            runs.append(Run(worker, token, at))
        else:
            runs[-1] = Run(worker, token, runs[-1].began, at)
    return runs


def _begin(run: Run) -> float:
    return run.began
