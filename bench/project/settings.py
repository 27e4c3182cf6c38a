"""A project with nothing but the queue: production settings, one app, one worker.

The loggers of the task API are at WARNING, as every peer's are: a line per job is not what is
measured.
"""

from __future__ import annotations

import json
import os

import django

from bench.place import SERVICES, Place

DEBUG = False
SECRET_KEY = "for measurements only"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": Place.of_environment().django}

BACKEND = os.environ.get("BENCH_BACKEND", "hosting.queues.DatabaseBackend")

INSTALLED_APPS = ["hosting", "bench.project"]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")
if BACKEND.startswith("django_tasks_db."):
    INSTALLED_APPS.append("django_tasks_db")

TASKS = {"default": {"BACKEND": BACKEND}}

_WORKER = ["hosting.TaskWorker"] if BACKEND.startswith("hosting.") else []
HOSTED_SERVICES = json.loads(os.environ.get(SERVICES, "null")) or _WORKER
HOSTING = {"AUTOSTART": False}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        name: {"level": "WARNING"} for name in ("django.tasks", "django_tasks", "django_tasks_db")
    },
}
