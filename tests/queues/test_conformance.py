"""Backends of Django's task API keep its contract, as `hosting.testing` has it."""

from __future__ import annotations

from django.db.models import Q
from django.test import SimpleTestCase, TransactionTestCase, override_settings
from django.utils import timezone

from hosting.compat import BaseTaskBackend
from hosting.models import Job, JobState
from hosting.testing import BackendConformance
from tests.queues.conftest import RunningWorker, has_threads, until

#: The task API's own package: the core's, or the backport's.
API = BaseTaskBackend.__module__.partition(".backends")[0]


@override_settings(TASKS={"default": {"BACKEND": "hosting.queues.DatabaseBackend", "QUEUES": []}})
class TestDatabaseBackend(BackendConformance, TransactionTestCase):
    transactional = True
    survives_exit = True
    retry_options = {"MAX_ATTEMPTS": 2}

    def run_all(self) -> None:
        worker = RunningWorker(backend=self.backend, concurrency=1, poll_interval=0.05)
        try:
            until(lambda: worker.error or not _is_work_left())
        finally:
            worker.stop()
        assert worker.error is None
        until(lambda: not has_threads())


@override_settings(
    TASKS={
        "default": {"BACKEND": "hosting.queues.DatabaseBackend", "QUEUES": ["other"]},
        "tested": {"BACKEND": "hosting.queues.DatabaseBackend", "QUEUES": ["mail", "slow"]},
    }
)
class TestAnotherAliasWithQueues(TestDatabaseBackend):
    """Neither the alias nor the queue has to be called "default"."""

    backend = "tested"
    retry_options = None


@override_settings(TASKS={"default": {"BACKEND": f"{API}.backends.immediate.ImmediateBackend"}})
class TestImmediateBackend(BackendConformance, SimpleTestCase):
    immediate = True
    survives_exit = True

    def run_all(self) -> None:
        """Everything has been executed already."""


def _is_work_left() -> bool:
    is_early = Q(state=JobState.WAITING, due_at__gt=timezone.now())
    return Job.objects.exclude(is_early).exists()
