"""A singleton that leaves a trace of its terms, and enqueues a job with each line of it."""

import os
import time

from django.db import connection

from hosting import BackgroundService, CancellationToken
from tests.faults.tasks import note
from tests.projects.telling import write_fact

#: Seconds between two rows.
BEAT = 0.05

#: What it writes for as long as it has the lease; the numbers are those of no other jobs.
TABLE = """
    CREATE TABLE faults_leases (
        seq bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000001) PRIMARY KEY,
        token bigint, pid integer, at timestamptz DEFAULT clock_timestamp()
    )
"""
ROW = "INSERT INTO faults_leases (token, pid) VALUES (%s, %s) RETURNING seq"


class Term(BackgroundService):
    """Writes rows until it is told to end; tells of each run on the clock that all share."""

    def execute(self, stopping: CancellationToken) -> None:
        self._tell("begins")
        try:
            while not stopping.is_cancelled:
                self._beat()
                stopping.wait(BEAT)
        finally:
            self._tell("ends")

    def _beat(self) -> None:
        with self.lease.fenced(), connection.cursor() as cursor:
            cursor.execute(ROW, [self.lease.token, os.getpid()])
            [number] = cursor.fetchone()
            note.enqueue(number)

    def _tell(self, event: str) -> None:
        write_fact(self.name, f"{event} token={self.lease.token} at={time.monotonic()}")
