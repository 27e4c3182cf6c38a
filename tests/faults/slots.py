"""Schedules that every process of a fleet keeps, and what became of their slots."""

from datetime import datetime
from itertools import pairwise

from tests.faults.fleet import Fleet

TASK = "tests.faults.tasks.nothing"
INTERVAL = 0.25
SCHEDULE = {
    "often": {"TASK": TASK, "INTERVAL": INTERVAL, "MISSED": "all"},
    "cron": {"TASK": TASK, "CRON": "* * * * *", "MISSED": "all"},
}
JOBS = """
    SELECT (SELECT count(*) FROM hosting_job WHERE task_path = %s)
         + (SELECT count(*) FROM hosting_jobresult WHERE task_path = %s)
"""


def assert_a_job_for_every_slot(fleet: Fleet) -> dict[str, int]:
    """No slot was passed over, and none has two jobs; how many slots each schedule had."""
    rows = fleet.project.rows("SELECT schedule, job_id, slot FROM hosting_scheduleslot")
    jobs = {job_id for _, job_id, _ in rows}
    assert len(jobs) == len(rows) == fleet.number(JOBS, TASK, TASK)
    counts = {}
    for name, distance in (("often", INTERVAL), ("cron", 60.0)):
        moments = sorted(_seconds_of(slot) for schedule, _, slot in rows if schedule == name)
        distances = {round(later - earlier, 3) for earlier, later in pairwise(moments)}
        assert distances <= {distance}
        counts[name] = len(moments)
    assert counts["often"] > 1
    return counts


def _seconds_of(slot: datetime | str) -> float:
    """A moment as the database gives it, in seconds."""
    return (datetime.fromisoformat(slot) if isinstance(slot, str) else slot).timestamp()
