"""django-tasks-db: `db_worker`, without its delay at start-up; it has no way to enqueue many."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

os.environ["BENCH_BACKEND"] = "django_tasks_db.DatabaseBackend"

from django.db import transaction

from bench.peers.base import Subject, python, set_up_django

set_up_django()

from django_tasks_db.models import DBTaskResult  # noqa: E402 - after Django is set up

from bench.project.tasks import TASKS  # noqa: E402 - as above


class Peer(Subject):
    def install(self) -> None:
        set_up_django(migrate=True)

    def enqueue(self, job: str, calls: Sequence[tuple[Any, ...]]) -> None:
        with transaction.atomic():
            for args in calls:
                TASKS[job].enqueue(*args)

    def enqueue_one(self, job: str, *args: Any) -> None:
        TASKS[job].enqueue(*args)

    def unsettled(self) -> int:
        return int(DBTaskResult.objects.filter(status__in=["READY", "RUNNING"]).count())

    def command(self) -> Sequence[str]:
        return python("bench.project", "db_worker", "--no-startup-delay")
