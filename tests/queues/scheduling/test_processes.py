"""Two real processes look after one schedule, and one of them is killed."""

from __future__ import annotations

import signal
from itertools import pairwise

import pytest

from tests.processes import Project
from tests.projects import declare

SCHEDULE = {"often": {"TASK": "tests.queues.tasks.nothing", "INTERVAL": 0.1, "MISSED": "all"}}

COUNT = """
    SELECT (SELECT COUNT(*) FROM hosting_scheduleslot), (SELECT COUNT(*) FROM hosting_job)
    WHERE (SELECT COUNT(*) FROM hosting_scheduleslot) >= %s
"""


@pytest.mark.process
def test_every_slot_has_one_job_whoever_dies(project: Project) -> None:
    env = declare("hosting.Scheduler", settings={"HOSTING": {"SCHEDULE": SCHEDULE}})
    processes = [project.start("runworker", "--no-reload", env=env) for _ in range(2)]
    for process in processes:
        process.wait_for_line("Hosting Scheduler in worker process")
    [(found, _)] = project.wait_for_rows(COUNT, 10)
    processes[0].send(signal.SIGKILL)
    project.wait_for_rows(COUNT, found + 10)
    processes[1].terminate()
    assert processes[1].wait_exit() == 0

    [(slots, jobs)] = project.rows(COUNT, 0)
    assert slots == jobs
    distances = {round(later - earlier, 3) for earlier, later in pairwise(moments(project))}
    assert distances == {0.1}
    assert "ERROR" not in "".join(process.output for process in processes)


def moments(project: Project) -> list[float]:
    """The slots that have a job, in seconds."""
    is_sqlite = project.database_url.startswith("sqlite:")
    seconds = "(julianday(slot) - 2440587.5) * 86400" if is_sqlite else "EXTRACT(EPOCH FROM slot)"
    rows = project.rows(f"SELECT {seconds} FROM hosting_scheduleslot ORDER BY slot")
    return [float(row[0]) for row in rows]
