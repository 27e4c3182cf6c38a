"""The conformance suite over a backend of somebody else: it is not made to the measure of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import TransactionTestCase, override_settings

from hosting.compat import TaskResult, TaskResultStatus
from hosting.testing import BackendConformance

pytest.importorskip("django_tasks_db")

from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult

SENDER = "task_started, and task_finished of a success, are sent by an instance"
RETURN_VALUE = "the worker stores a return value without normalize_json"


@override_settings(TASKS={"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []}})
class TestDjangoTasksDb(BackendConformance, TransactionTestCase):
    transactional = True
    survives_exit = True
    known_deviations = {
        "test_a_success_is_announced_step_by_step": SENDER,
        "test_a_failure_is_announced_step_by_step": SENDER,
        "test_a_returned_tuple_becomes_a_list": RETURN_VALUE,
        "test_returned_bytes_become_text": RETURN_VALUE,
        "test_another_attempt_leaves_started_at_alone": "a claim overwrites started_at",
        "test_another_attempt_adds_to_the_result": "a row has one error, which a success empties",
    }

    def run_all(self) -> None:
        Worker(
            queue_names=["*"],
            excluded_queue_names=[],
            interval=0,
            batch=True,
            backend_name=self.backend,
            startup_delay=False,
            max_tasks=None,
            worker_id="tests",
        ).run()

    def requeue(self, result: TaskResult[..., Any]) -> None:
        DBTaskResult.objects.filter(id=result.id).update(status=TaskResultStatus.READY)
