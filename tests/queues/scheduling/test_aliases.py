"""Schedules where the database has a second alias, as one that passes by a pooler."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from django.db.backends.signals import connection_created
from django.dispatch import Signal

from hosting import Scheduler
from hosting.compat import task_enqueued
from hosting.models import Job
from hosting.testing import started
from tests.queues.conftest import until
from tests.queues.scheduling.conftest import TASKS, jobs

pytestmark = [
    pytest.mark.usefixtures("direct"),
    pytest.mark.django_db(transaction=True, databases=["default", "direct"]),
]


@pytest.fixture(scope="module")
def direct(django_db_setup: None) -> Iterator[None]:
    """The second alias, which has to be there before a test is given its databases."""
    connections.settings["direct"] = {**connections.settings["default"]}
    yield
    connections["direct"].close()
    del connections["direct"], connections.settings["direct"]


def test_a_scheduler_connects_once_and_leaves_no_other_connection_open(settings: Any) -> None:
    """Not even where every request connects anew; who hears of a job may ask any database."""
    connected: list[str] = []

    def ask(**_: Any) -> None:
        Job.objects.using("direct").exists()

    def note(connection: Any, **_: Any) -> None:
        if threading.current_thread() is not threading.main_thread():
            connected.append(connection.alias)

    entry = {"TASK": f"{TASKS}.nothing", "INTERVAL": 0.1}
    settings.HOSTING = {"SCHEDULE": {"often": entry}}
    with heard(connection_created, note), heard(task_enqueued, ask), started(Scheduler()):
        until(lambda: len(jobs()) >= 3)
    assert connected.count("default") == 1
    assert connected.count("direct") >= 3


@contextmanager
def heard(signal: Signal, receiver: Callable[..., None]) -> Iterator[None]:
    """Have a signal received for a while."""
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)
