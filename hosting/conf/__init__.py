"""Settings: parsed once, judged once, reported in the same words by checks and at start-up."""

from hosting.conf.entries import ALWAYS, NEVER, ON_FAILURE, WEB, WORKER, ServiceEntry
from hosting.conf.problems import Problem
from hosting.conf.schedule import ScheduleEntry
from hosting.conf.settings import Declaration, HostingSettings, judge, load, load_settings

__all__ = [
    "ALWAYS",
    "NEVER",
    "ON_FAILURE",
    "WEB",
    "WORKER",
    "Declaration",
    "HostingSettings",
    "Problem",
    "ScheduleEntry",
    "ServiceEntry",
    "judge",
    "load",
    "load_settings",
]
