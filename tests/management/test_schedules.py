"""`manage.py schedules`: when each is due, its next run and its last one."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from hosting.queues.schedules import run_schedule
from hosting.queues.scheduling import words
from hosting.queues.stores.scheduled import Definition
from tests.queues.scheduling.conftest import TASKS, make_schedule

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_declared(settings: Any) -> None:
    settings.HOSTING = {}


def listing(*options: str) -> str:
    out = StringIO()
    call_command("schedules", *options, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
class TestCommand:
    def test_a_line_for_each_schedule(self, settings: Any) -> None:
        settings.HOSTING = {"SCHEDULE": {"unseen": {"TASK": f"{TASKS}.nothing", "INTERVAL": 90}}}
        make_schedule("hourly", ago=60)
        make_schedule("broken", task_path=f"{TASKS}.gone")
        make_schedule("paused", cron="0 3 * * *", time_zone="Europe/Berlin", is_paused=True)
        run_schedule("hourly")

        header, broken, hourly, paused, unseen = (
            re.split(r"  +", line) for line in listing().splitlines()
        )

        assert header == ["NAME", "TASK", "WHEN", "NEXT RUN", "LAST RUN", "PAUSED"]
        assert hourly[:3] == ["hourly", f"{TASKS}.nothing", "every 1 h"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, in 5[89] min", hourly[3])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, (now|\d+ s ago)", hourly[4])
        assert hourly[5] == "no"
        assert broken[3].startswith(f"never: task is '{TASKS}.gone', allowed:")
        assert paused[2:] == [
            "at 03:00 every day (Europe/Berlin)",
            "never: it is paused",
            "never",
            "yes",
        ]
        assert unseen[2:] == ["every 1 min 30 s", "when a scheduler has started", "never", "no"]

    def test_one_of_the_settings_that_cannot_be_is_there_with_the_reason(
        self, settings: Any
    ) -> None:
        gone = {"TASK": f"{TASKS}.gone", "CRON": "0 3 * * *"}
        odd = {"TASK": f"{TASKS}.add", "INTERVAL": 60, "ARGS": [object()]}
        settings.HOSTING = {"SCHEDULE": {"gone": gone, "odd": odd}}

        _, *lines = (re.split(r"  +", line) for line in listing().splitlines())

        assert [line[:3] for line in lines] == [
            ["gone", f"{TASKS}.gone", "at 03:00 every day (UTC)"],
            ["odd", f"{TASKS}.add", "every 1 min"],
        ]
        assert lines[0][3].startswith(f"never: task is '{TASKS}.gone', allowed: the dotted path")
        assert lines[1][3].startswith("never: Argument 1 of ")
        [found, _] = json.loads(listing("--format", "json"))
        assert f"never: {found['problem']}" == lines[0][3]
        assert (found["next_run"], found["is_declared"]) == (None, True)

    def test_one_that_cannot_be_and_has_a_row_is_there_once(self, settings: Any) -> None:
        settings.HOSTING = {"SCHEDULE": {"a": {"TASK": f"{TASKS}.gone", "INTERVAL": 60}}}
        make_schedule("a", is_declared=True)
        assert len(listing().splitlines()) == 2

    def test_a_run_that_is_overdue_is_the_next_one(self) -> None:
        make_schedule(ago=3720)
        assert "2 min ago" in listing()

    def test_json(self) -> None:
        row = make_schedule(ago=60)
        result = run_schedule("regular")

        [found] = json.loads(listing("--format", "json"))

        assert found["next_run"] == (row.since + timedelta(hours=1)).astimezone(UTC).isoformat()
        assert found["last_job"] == result.id
        assert datetime.fromisoformat(found["last_run"]) <= datetime.fromisoformat(found["now"])
        assert {key: found[key] for key in ("name", "task", "when", "is_paused", "problem")} == {
            "name": "regular",
            "task": f"{TASKS}.nothing",
            "when": "every 1 h",
            "is_paused": False,
            "problem": None,
        }

    def test_none_at_all(self) -> None:
        assert listing() == "There are no schedules.\n"
        assert json.loads(listing("--format", "json")) == []

    def test_wrong_settings_are_said(self, settings: Any) -> None:
        settings.HOSTING = {"SCHEDULE": {"a": 5}}
        with pytest.raises(CommandError, match="is 5, allowed: a dict"):
            listing()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"interval": 300.0}, "every 5 min"),
        ({"interval": 5400.0}, "every 1 h 30 min"),
        ({"interval": 0.5}, "every 0.5 s"),
        ({"interval": 86_400.0 * 7}, "every 7 d"),
        ({"cron": "0 3 * * *"}, "at 03:00 every day (UTC)"),
        (
            {"cron": "30 9 * * MON-FRI", "time_zone": "Asia/Tehran"},
            "at 09:30 on Monday through Friday (Asia/Tehran)",
        ),
        ({"cron": "every now and then"}, "cron every now and then (UTC)"),
    ],
)
def test_schedules_in_words(values: dict[str, Any], text: str) -> None:
    assert words.when(Definition(name="a", task_path="a.b", **values)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "now"),
        (12 * 60 + 59, "in 12 min"),
        (-45, "45 s ago"),
        (3 * 3600, "in 3 h"),
        (-86_400 * 400, "400 d ago"),
    ],
)
def test_how_far_away_a_moment_is(seconds: float, text: str) -> None:
    assert words.relative(NOW + timedelta(seconds=seconds), NOW) == text
