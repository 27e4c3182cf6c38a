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
from hosting.models import Job, Schedule
from hosting.queues.schedules import run_schedule
from hosting.queues.scheduling.listing import list_schedules
from hosting.testing import started
from tests.queues import tasks
from tests.queues.conftest import until
from tests.queues.scheduling.conftest import TASKS, move, slots

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
        until(lambda: connected.count("direct") >= 3)  # slots that were missed share a round
    assert connected.count("default") == 1


@pytest.fixture
def two_ways(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule of each alias: "straight" of "direct", and "pooled" of "default"."""
    bulk = {**settings.TASKS["default"], "OPTIONS": {"DATABASE": "direct"}}
    settings.TASKS = {**settings.TASKS, "bulk": bulk}
    monkeypatch.setattr(tasks, "add", tasks.add.using(backend="bulk"))
    settings.HOSTING = {
        "SCHEDULE": {
            "pooled": {"TASK": f"{TASKS}.nothing", "INTERVAL": 3600},
            "straight": {"TASK": f"{TASKS}.add", "INTERVAL": 3600, "ARGS": [1]},
        }
    }


@pytest.mark.usefixtures("two_ways")
class TestTwoWays:
    def test_each_enqueues_its_own_and_leaves_the_rest(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whichever starts first, and also when they start again."""
        for order in (1, -1, 1):
            for desk in Scheduler()._desks()[::order]:
                desk.serve()
            assert Schedule.objects.filter(is_declared=True).count() == 2
        for name in ("pooled", "straight"):
            move(name, 3602)
        service = Scheduler()
        for desk in service._desks():
            desk.serve()
        assert (slots("pooled"), slots("straight")) == ([3600], [3600])
        found = set(Job.objects.values_list("task_path", "backend"))
        assert found == {(f"{TASKS}.nothing", "default"), (f"{TASKS}.add", "bulk")}
        assert service.facts() == {"schedules": 2, "enqueued": 2}
        assert [each for each in caplog.records if each.levelname == "ERROR"] == []

    def test_what_leaves_the_settings_goes(self, settings: Any) -> None:
        serve_all()
        schedule = settings.HOSTING["SCHEDULE"]
        settings.HOSTING = {"SCHEDULE": {"pooled": schedule["pooled"]}}
        serve_all()
        assert [row.name for row in Schedule.objects.all()] == ["pooled"]

    def test_each_is_listed_once_and_can_be_run(self) -> None:
        serve_all()
        found = [(each.name, each.database, each.problem) for each in list_schedules()]
        assert found == [("pooled", "default", None), ("straight", "direct", None)]
        assert run_schedule("straight").backend == "bulk"
        assert run_schedule("pooled").backend == "default"


def serve_all() -> None:
    """What a scheduler does when it starts."""
    for desk in Scheduler()._desks():
        desk.serve()


@contextmanager
def heard(signal: Signal, receiver: Callable[..., None]) -> Iterator[None]:
    """Have a signal received for a while."""
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)
