"""The schedules of the settings become rows, and go when they leave the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hosting.checks import check_hosting
from hosting.compat import BaseTaskBackend
from hosting.conf import load_settings
from hosting.models import Schedule
from hosting.queues.scheduling.declared import declared_schedules
from hosting.queues.scheduling.keeper import Keeper
from hosting.queues.scheduling.listing import list_schedules
from hosting.queues.stores.scheduled import Definition
from tests.queues.scheduling.conftest import TASKS, jobs, make_schedule, move, slots

Make = Callable[..., Keeper]

HOURLY = Definition(name="hourly", task_path=f"{TASKS}.nothing", interval=3600.0)
NIGHTLY = Definition(name="nightly", task_path=f"{TASKS}.add", cron="0 3 * * *", args="[1]")


@pytest.mark.django_db
class TestSync:
    def test_what_is_declared_gets_rows_that_count_from_now(self, keeper: Make) -> None:
        keeper(HOURLY, NIGHTLY).round()
        rows = {row.name: row for row in Schedule.objects.all()}
        assert rows.keys() == {"hourly", "nightly"}
        assert rows["hourly"].is_declared
        assert rows["hourly"].since == rows["hourly"].handled_until
        assert (rows["nightly"].task_path, rows["nightly"].args) == (f"{TASKS}.add", "[1]")
        assert jobs() == []
        move("hourly", 3602)
        keeper(HOURLY, NIGHTLY).round()
        assert slots("hourly") == [3600]

    def test_what_is_the_same_is_not_touched(self, keeper: Make) -> None:
        keeper(HOURLY).round()
        move("hourly", 1800)
        before = Schedule.objects.values().get()
        with CaptureQueriesContext(connection) as captured:
            keeper(HOURLY).round()
        assert len(captured) == 2
        assert Schedule.objects.values().get() == before

    @pytest.mark.parametrize(
        "changes",
        [
            {"interval": 7200.0},
            {"interval": None, "cron": "0 * * * *"},
            {"args": "[1]", "task_path": f"{TASKS}.add"},
            {"missed": "all"},
            {"priority": 3},
        ],
    )
    def test_what_has_changed_counts_from_now(self, keeper: Make, changes: dict[str, Any]) -> None:
        keeper(HOURLY).round()
        move("hourly", 9000)
        before = Schedule.objects.get()
        keeper(replace(HOURLY, **changes)).round()
        row = Schedule.objects.get()
        assert row.since == row.handled_until > before.since
        assert {name: getattr(row, name) for name in changes} == changes
        assert jobs() == []

    def test_what_is_gone_is_removed_but_not_what_was_made_at_run_time(self, keeper: Make) -> None:
        make_schedule("mine")
        keeper(HOURLY, NIGHTLY).round()
        keeper(NIGHTLY).round()
        assert set(Schedule.objects.values_list("name", flat=True)) == {"mine", "nightly"}

    def test_what_cannot_be_is_neither_changed_nor_removed(self, keeper: Make) -> None:
        """Its task may be there in the other processes, as in the middle of a deployment."""
        keeper(HOURLY).round()
        keeper(spared=("hourly",)).round()
        assert Schedule.objects.get().name == "hourly"

    def test_a_pause_survives_a_change(self, keeper: Make) -> None:
        keeper(HOURLY).round()
        Schedule.objects.update(is_paused=True)
        keeper(replace(HOURLY, interval=60.0)).round()
        assert Schedule.objects.get().is_paused

    def test_one_made_at_run_time_is_replaced_aloud(
        self, keeper: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_schedule("hourly", interval=5.0)
        keeper(HOURLY).round()
        row = Schedule.objects.get()
        assert (row.is_declared, row.interval) == (True, 3600)
        assert "Schedule 'hourly': the one made at run time is replaced" in caplog.text


@pytest.mark.django_db
def test_local_times_without_a_zone(keeper: Make, settings: Any) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Asia/Tokyo"  # nine hours ahead of the database's own clock
    keeper(HOURLY).round()
    assert jobs() == []
    move("hourly", 3602)
    keeper(HOURLY).round()
    keeper(HOURLY).round()
    assert slots("hourly") == [3600]
    assert list_schedules()[0].next_in_words().endswith("in 59 min")


@pytest.mark.django_db(transaction=True)
def test_processes_that_start_at_once_agree(keeper: Make, in_threads: Callable[..., Any]) -> None:
    make_schedule("mine")
    keepers = [keeper(HOURLY, NIGHTLY, replace(HOURLY, name="mine")) for _ in range(4)]
    in_threads(*(each.round for each in keepers))
    assert Schedule.objects.filter(is_declared=True).count() == 3
    assert jobs() == []


def declare(settings: Any, **entry: Any) -> None:
    given = {"TASK": f"{TASKS}.add", "INTERVAL": 60, "ARGS": [1], **entry}
    settings.HOSTING = {"SCHEDULE": {"adding": given}}
    settings.HOSTED_SERVICES = ["hosting.Scheduler"]


def test_a_schedule_of_the_settings_is_found_with_its_database(settings: Any) -> None:
    declare(settings, KWARGS={"b": 2}, QUEUE="slow", PRIORITY=-3, MISSED="all")
    found = declared_schedules(load_settings().schedule.values())
    assert found.by_database == {
        "default": [
            Definition(
                name="adding",
                task_path=f"{TASKS}.add",
                interval=60.0,
                args="[1]",
                kwargs='{"b": 2}',
                queue_name="slow",
                priority=-3,
                missed="all",
            )
        ]
    }
    assert (found.impossible, found.problems) == ((), ())
    assert check_hosting() == []


def test_one_that_is_not_enabled_is_as_if_it_were_not_there(settings: Any) -> None:
    declare(settings, ENABLED=False, TASK="nowhere.at.all")
    found = declared_schedules(load_settings().schedule.values())
    assert (found.by_database, found.impossible, found.problems) == ({}, (), ())
    settings.HOSTED_SERVICES = []
    assert check_hosting() == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (
            {"TASK": "nowhere.task"},
            "task is 'nowhere.task', allowed: the dotted path of a task (it",
        ),
        ({"TASK": f"{TASKS}.ad"}, f"did you mean '{TASKS}.add'?"),
        ({"TASK": f"{TASKS}.Gate"}, "(it is a type)"),
        ({"TASK": f"{TASKS}.renamed"}, "which cannot be enqueued: A worker would not find"),
        ({"ARGS": []}, "allowed: those of add(a: int, b: int = 0) (missing a required"),
        ({"KWARGS": {"c": 1}}, "got an unexpected keyword argument 'c'"),
        ({"ARGS": [object()]}, f"Argument 1 of {TASKS}.add (object) cannot be stored as JSON"),
    ],
)
def test_what_the_queue_cannot_take_is_an_error_with_its_words(
    settings: Any, entry: dict[str, Any], words: str
) -> None:
    declare(settings, **entry)
    [error] = check_hosting()
    assert error.id == "hosting.E029"
    assert error.msg.startswith("HOSTING['SCHEDULE']['adding']: ")
    assert words in error.msg
    found = declared_schedules(load_settings().schedule.values())
    assert [str(problem) for problem in found.problems] == [error.msg]
    assert found.impossible == ("adding",)


def test_a_queue_that_the_backend_does_not_have_is_an_error(settings: Any) -> None:
    backend = {**settings.TASKS["default"], "QUEUES": ["default", "slow"]}
    settings.TASKS = {**settings.TASKS, "default": backend}
    declare(settings, QUEUE="slwo")
    [error] = check_hosting()
    assert "queue is 'slwo', which is not in TASKS['default']['QUEUES']" in error.msg
    assert error.msg.endswith("did you mean 'slow'?")


def test_a_task_of_another_backend_is_an_error(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": f"{BaseTaskBackend.__module__[:-4]}dummy.DummyBackend"}
    }
    declare(settings)
    [error] = check_hosting()
    assert error.id == "hosting.E009"
    assert "TASKS has no backend whose BACKEND is" in error.msg
    settings.HOSTED_SERVICES = []
    error, _ = check_hosting()
    assert "of the backend 'default', which is a " in error.msg
    assert "DummyBackend, allowed: a task of a backend whose BACKEND is" in error.msg


def test_entries_without_a_scheduler_are_a_warning(settings: Any) -> None:
    declare(settings)
    for services in (
        [],
        ["hosting.TaskWorker"],
        [{"SERVICE": "hosting.Scheduler", "ENABLED": False}],
    ):
        settings.HOSTED_SERVICES = services
        [warning] = check_hosting()
        assert warning.id == "hosting.W002"
        assert "nobody enqueues them" in warning.msg
