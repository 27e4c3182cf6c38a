"""A service of which one copy runs, and which leaves rows in `faults_holds`."""

import os

from django.db import connection

from hosting import BackgroundService, CancellationToken, LeaseLost
from tests.projects.telling import write_fact

MOMENT = 0.02

POSTGRESQL_TABLE = """
    CREATE TABLE faults_holds (
        seq bigserial PRIMARY KEY, token bigint, pid integer,
        at timestamptz DEFAULT clock_timestamp()
    )
"""
SQLITE_TABLE = """
    CREATE TABLE faults_holds (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, token bigint, pid integer,
        at text DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')
    )
"""


class Holder(BackgroundService):
    """Writes under its lease all the time, and once more when it has lost it."""

    def execute(self, stopping: CancellationToken) -> None:
        write_fact("Holder", f"begins {self.lease.token}")
        accepted = True
        while accepted and not stopping.wait(MOMENT):
            accepted = self.write()
        if not accepted or self.lease.lost.is_cancelled:
            accepted = self.write()
            write_fact("Holder", f"{'accepted' if accepted else 'refused'} {self.lease.token}")

    def write(self) -> bool:
        """Whether the row was written."""
        try:
            with self.lease.fenced(), connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO faults_holds (token, pid) VALUES (%s, %s)",
                    [self.lease.token, os.getpid()],
                )
        except LeaseLost:
            return False
        return True
