"""The tables.

jobs        what waits, runs and has ended
schedules   when tasks are enqueued by themselves
fleet       processes that host services, their leases, and what they are asked to do
lines       log lines
"""

from hosting.models.fleet import HostProcess, Lease, ServiceAction, ServiceCommand
from hosting.models.jobs import (
    LONGEST_KEY,
    Enqueued,
    Job,
    JobResult,
    JobState,
    Limit,
    PausedQueue,
    Reservation,
)
from hosting.models.lines import LogLine
from hosting.models.schedules import Missed, Schedule, ScheduleSlot

__all__ = [
    "LONGEST_KEY",
    "Enqueued",
    "HostProcess",
    "Job",
    "JobResult",
    "JobState",
    "Lease",
    "Limit",
    "LogLine",
    "Missed",
    "PausedQueue",
    "Reservation",
    "Schedule",
    "ScheduleSlot",
    "ServiceAction",
    "ServiceCommand",
]
