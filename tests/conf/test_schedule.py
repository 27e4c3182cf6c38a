"""`HOSTING["SCHEDULE"]`: what an entry may be, and one clear line for each that may not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hosting.checks import check_hosting
from hosting.conf import ScheduleEntry, load_settings
from hosting.exceptions import ConfigurationError
from tests.conf.conftest import Declare

TASK = "tests.queues.tasks.nothing"


def test_all_keys(declare: Declare) -> None:
    declare(
        hosting={
            "SCHEDULE": {
                "nightly": {
                    "TASK": TASK,
                    "CRON": "0 3 * * *",
                    "TIME_ZONE": "Europe/Berlin",
                    "ARGS": [1, "two"],
                    "KWARGS": {"three": 3},
                    "QUEUE": "slow",
                    "PRIORITY": -5,
                    "MISSED": "skip",
                    "ENABLED": False,
                },
                "often": {"TASK": TASK, "INTERVAL": timedelta(minutes=1)},
            }
        }
    )
    assert load_settings().schedule == {
        "nightly": ScheduleEntry(
            name="nightly",
            task=TASK,
            where="HOSTING['SCHEDULE']['nightly']",
            cron="0 3 * * *",
            time_zone="Europe/Berlin",
            args=(1, "two"),
            kwargs={"three": 3},
            queue="slow",
            priority=-5,
            missed="skip",
            enabled=False,
        ),
        "often": ScheduleEntry(
            name="often", task=TASK, where="HOSTING['SCHEDULE']['often']", interval=60.0
        ),
    }


def entry(**changes: Any) -> dict[str, Any]:
    """A sound entry with these keys; one that is None is left out."""
    keys = {"TASK": TASK, "CRON": "* * * * *", **changes}
    return {key: value for key, value in keys.items() if value is not None}


@pytest.mark.parametrize(
    ("name", "raw", "id", "words"),
    [
        ("a", 5, "E024", "is 5, allowed: a dict"),
        ("a", TASK, "E024", f"is '{TASK}', allowed: a dict"),
        ("a b", entry(), "E024", "the name is 'a b', allowed: 1 to 64 letters"),
        ("x" * 65, entry(), "E024", "allowed: 1 to 64 letters"),
        (5, entry(), "E024", "the name is 5"),
        ("a", entry(CORN="x"), "E025", "unknown key 'CORN'"),
        ("a", entry(ARG=[]), "E025", "did you mean 'ARGS'?"),
        ("a", entry(TASK=None), "E026", "the key 'TASK' is missing"),
        ("a", entry(TASK="nothing"), "E028", "TASK is 'nothing', allowed: the dotted path"),
        ("a", entry(TASK=print), "E028", "TASK is <built-in function print>"),
        (
            "a",
            entry(CRON=None),
            "E027",
            "exactly one of CRON and INTERVAL is needed, found neither",
        ),
        ("a", entry(INTERVAL=5), "E027", "exactly one of CRON and INTERVAL is needed, found both"),
        (
            "a",
            entry(CRON=None, INTERVAL=5, TIME_ZONE="UTC"),
            "E027",
            "TIME_ZONE is 'UTC', allowed: only with CRON",
        ),
        ("a", entry(CRON="* * *"), "E028", "CRON is '* * *', allowed: five fields"),
        ("a", entry(CRON=",".join(["1"] * 200) + " * * * *"), "E028", "at most 255 characters"),
        ("a", entry(CRON=None, INTERVAL=0), "E028", "INTERVAL is 0, allowed: more than 0"),
        ("a", entry(CRON=None, INTERVAL="5"), "E028", "INTERVAL is '5', allowed: seconds or a"),
        ("a", entry(CRON=None, INTERVAL=0.01), "E028", "allowed: 0.1 seconds to 100 years"),
        ("a", entry(CRON=None, INTERVAL=1e300), "E028", "allowed: 0.1 seconds to 100 years"),
        ("a", entry(TIME_ZONE="Europe/Belin"), "E028", "did you mean 'Europe/Berlin'?"),
        ("a", entry(ARGS="ab"), "E028", "ARGS is 'ab', allowed: a list"),
        ("a", entry(KWARGS=[1]), "E028", "KWARGS is [1], allowed: a dict of keyword"),
        ("a", entry(KWARGS={1: 1}), "E028", "KWARGS is {1: 1}, allowed: a dict of keyword"),
        ("a", entry(QUEUE=""), "E028", "QUEUE is '', allowed: the name of a queue"),
        ("a", entry(PRIORITY=101), "E028", "PRIORITY is 101, allowed: a whole number from -100"),
        ("a", entry(PRIORITY=True), "E028", "PRIORITY is True, allowed: a whole number"),
        ("a", entry(MISSED="twice"), "E028", "MISSED is 'twice', allowed: 'skip', 'once' or"),
        ("a", entry(ENABLED="yes"), "E028", "ENABLED is 'yes', allowed: True or False"),
    ],
)
def test_each_mistake_is_one_line(
    declare: Declare, name: Any, raw: Any, id: str, words: str
) -> None:
    declare(hosting={"SCHEDULE": {"sound": entry(), name: raw}})
    [error] = check_hosting()
    assert error.id == f"hosting.{id}"
    assert error.msg.startswith(f"HOSTING['SCHEDULE'][{name!r}]: ")
    assert words in error.msg
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert str(caught.value) == error.msg


@pytest.mark.parametrize("raw", [None, [], "nightly", [("a", entry())]])
def test_schedules_are_given_by_name(declare: Declare, raw: Any) -> None:
    declare(hosting={"SCHEDULE": raw})
    [error] = check_hosting()
    assert error.id == "hosting.E022"
    assert error.msg == f"HOSTING: SCHEDULE is {raw!r}, allowed: a dict of schedules by name."
