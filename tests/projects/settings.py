# ruff: noqa: F403, F405  (settings are those of the project, and more)
"""The project's settings with what the environment declares, and no LOGGING for `hosting`."""

import json
import logging
import os
from importlib import import_module

from config.settings import *

INSTALLED_APPS = [
    *os.environ.get("FIRST_APPS", "").split(),
    *INSTALLED_APPS,
    "tests.projects",
    *os.environ.get("MORE_APPS", "").split(),
]
ASGI_APPLICATION = "tests.projects.asgi.application"
HOSTING = {}
if os.environ.get("MISSING_DRIVER"):
    DATABASES["legacy"] = {"ENGINE": "tests.projects.nowhere"}
if "WATCHED" in os.environ:
    import_module(os.environ["WATCHED"])  # which a test changes
if os.environ.get("DATABASE_POOL"):
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {"min_size": 2, "max_size": 20}


def is_about_watched_file(record: logging.LogRecord) -> bool:
    """Whether the autoreloader tells of a file that a test is going to change."""
    return "watched" in record.getMessage() or record.levelno > logging.DEBUG


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "watched": {
            "()": "django.utils.log.CallbackFilter",
            "callback": is_about_watched_file,
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["watched"]}},
    "loggers": {
        "django.utils.autoreload": {
            "level": "DEBUG",
            "handlers": ["console"],
            "propagate": False,
        },
    },
}

if level := os.environ.get("LOG_LEVEL"):
    LOGGING["loggers"]["hosting"] = {"level": level, "handlers": ["console"]}

globals().update(json.loads(os.environ["DECLARED_SETTINGS"]))
