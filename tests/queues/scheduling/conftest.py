"""Schedules whose past a test can move, and keepers that look after them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from hosting.models import Job, Schedule, ScheduleSlot
from hosting.queues.scheduling.keeper import Keeper
from hosting.queues.stores import store_for
from hosting.queues.stores.scheduled import Definition

TASKS = "tests.queues.tasks"


def make_schedule(name: str = "regular", *, ago: float = 0, **values: Any) -> Schedule:
    """A schedule that has been there for so many seconds, and has enqueued nothing yet."""
    values = {"task_path": f"{TASKS}.nothing", **({} if "cron" in values else EVERY_HOUR), **values}
    Schedule.objects.create(name=name, **values)
    move(name, ago)
    return Schedule.objects.get(name=name)


EVERY_HOUR = {"interval": 3600.0}


def move(name: str, seconds: float) -> None:
    """Have it be so many seconds later for a schedule."""
    past = timedelta(seconds=seconds)
    rows = Schedule.objects.filter(name=name)
    rows.update(since=F("since") - past, handled_until=F("handled_until") - past)


def slots(name: str = "regular") -> list[float]:
    """The slots that have a job, in seconds since the schedule began."""
    since = Schedule.objects.get(name=name).since
    rows = ScheduleSlot.objects.filter(schedule=name).order_by("slot")
    return [(row.slot - since).total_seconds() for row in rows]


def jobs() -> list[str]:
    """The ids of all jobs, in the order in which they were enqueued."""
    return [str(job_id) for job_id in Job.objects.order_by("id").values_list("id", flat=True)]


@pytest.fixture
def keeper() -> Callable[..., Keeper]:
    """Make keepers of the default database; what is declared is given."""

    def make(*declared: Definition, spared: tuple[str, ...] = ()) -> Keeper:
        return Keeper("scheduler", store_for("default"), declared, spared)

    return make


def work_off(keeper: Keeper) -> None:
    """Have the keeper look until nothing is due."""
    while keeper.round() < 0.2:
        pass
