# ruff: noqa: F403  (settings are those of the bench's project, and more)
"""The settings of the bench's project, with a page, and a service beside the worker."""

from __future__ import annotations

from bench.project.settings import *

ROOT_URLCONF = "bench.requests.site.urls"
ALLOWED_HOSTS = ["localhost"]
# None, so that a request costs as little as one of Django's can, and what hosting adds weighs most.
MIDDLEWARE: list[str] = []

HOSTED_SERVICES = ["hosting.TaskWorker", "bench.requests.site.services.Pulse"]
HOSTING = {}  # whether to host is decided as it is by default
