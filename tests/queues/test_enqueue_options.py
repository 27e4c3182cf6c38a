"""What the options of a task mean for one call."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hosting import Backoff, Concurrency, Rate, Unique
from hosting.compat import InvalidTask, Task
from hosting.queues.declared import EnqueueOptions, EnqueuePlan, enqueue_plan
from hosting.queues.declared.keys import key_text
from tests.queues import declaring
from tests.queues.declaring import NOW

NOTHING = EnqueueOptions()
WITHOUT: Any = Task(
    func=declaring.plain,
    priority=0,
    backend="default",
    queue_name="default",
    run_after=None,
)


def options(task: Any, *args: Any, declared: Any = None) -> EnqueueOptions:
    """Of one call of a task, which is the declared one unless another is given."""
    return enqueue_plan(task, task if declared is None else declared).options(args, {}, NOW)


def test_a_task_without_options() -> None:
    assert options(declaring.send, 1) == options(WITHOUT, 1) == NOTHING
    assert options(declaring.send, 1) is options(declaring.send, 2)


def test_a_task_with_every_option() -> None:
    path = "tests.queues.declaring.full"

    assert options(declaring.full, 1) == EnqueueOptions(
        expires_in=3600.0,
        unique_key=key_text(path, {"order": 1}),
        unique_until="finished",
        limit_key=key_text(path, {}),
        limit_running=2,
        limit_count=10,
        limit_period=60.0,
    )


@pytest.mark.parametrize(
    ("unique", "until", "period"),
    [
        (True, "finished", None),
        ("order", "finished", None),
        (Unique(until="started"), "started", None),
        (Unique(period=90), None, 90.0),
        (Unique(period=timedelta(hours=1)), None, 3600.0),
    ],
)
def test_how_long_a_call_is_unique(unique: Any, until: Any, period: Any) -> None:
    found = options(declaring.send.using(unique=unique), 1)

    assert (found.unique_until, found.unique_period) == (until, period)
    assert found.unique_key
    assert found.limit_key == ""


@pytest.mark.parametrize("unique", [None, False])
def test_a_call_that_is_not_unique(unique: Any) -> None:
    task = declaring.send.using(unique=unique)

    assert options(task, 1, declared=declaring.send) == NOTHING


def test_limits_share_one_key() -> None:
    by_order = key_text("tests.queues.declaring.send", {"order": 7})
    running = declaring.send.using(concurrency=Concurrency(3, key="order"))
    rate = declaring.send.using(rate=Rate(5, timedelta(minutes=1), key="order"))
    both = running.using(rate=rate.rate)

    assert options(running, 7) == replace(NOTHING, limit_key=by_order, limit_running=3)
    assert options(rate, 7) == replace(
        NOTHING, limit_key=by_order, limit_count=5, limit_period=60.0
    )
    assert options(both, 7) == replace(options(rate, 7), limit_running=3)


# Times


def test_a_timedelta_counts_from_the_enqueue() -> None:
    later = declaring.send.using(run_after=timedelta(minutes=5))
    plan = EnqueuePlan.of(later, declaring.send)

    for now in (NOW, NOW + timedelta(hours=3)):
        assert plan.options((1,), {}, now).run_after == now + timedelta(minutes=5)


def test_a_moment_is_a_moment() -> None:
    moment = NOW + timedelta(days=1)

    assert options(declaring.send.using(run_after=moment), 1).run_after == moment
    # The task of a result has the moment that the timedelta came to.
    both = replace(declaring.send.using(run_after=timedelta(1)), run_after=moment)
    assert options(both, 1).run_after == moment


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        (90, 90.0),
        (0.5, 0.5),
        (timedelta(minutes=2), 120.0),
        (NOW + timedelta(minutes=2), 120.0),
        ((NOW + timedelta(minutes=2)).astimezone(timezone(timedelta(hours=5))), 120.0),
        (NOW - timedelta(minutes=2), -120.0),
    ],
)
def test_expiry_in_seconds_from_now(expires: Any, seconds: float) -> None:
    assert options(declaring.send.using(expires=expires), 1).expires_in == seconds


def test_expiry_without_time_zones(settings: Any) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, "UTC"
    now = datetime(2030, 1, 1)
    for expires in (now + timedelta(minutes=1), NOW + timedelta(minutes=1)):
        task = declaring.send.using(expires=expires)
        assert enqueue_plan(task, task).options((1,), {}, now).expires_in == 60.0


# Overrides


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({"max_attempts": 9}, {"max_attempts": 9}),
        ({"max_attempts": 5, "timeout": timedelta(seconds=30)}, {}),
        ({"timeout": timedelta(minutes=1)}, {"timeout": 60.0}),
        ({"timeout": None, "max_attempts": None}, {"timeout": None, "max_attempts": None}),
        ({"backoff": Backoff(2.0)}, {}),
        (
            {"backoff": Backoff(1, 3, 5)},
            {"backoff": {"initial": 1, "factor": 3, "maximum": 5}},
        ),
        ({"backoff": None, "atomic": False}, {"backoff": None, "atomic": False}),
        ({"priority": 7, "unique": None, "expires": 5, "run_after": NOW}, {}),
    ],
)
def test_what_a_job_brings_along(changes: dict[str, Any], stored: dict[str, Any]) -> None:
    text = options(declaring.full.using(**changes), 1, declared=declaring.full).overrides

    assert (json.loads(text) if text else {}) == stored


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("retry_on", OSError),
        ("retry_on", None),
        ("give_up_on", ValueError),
        ("backoff", declaring.twice),
    ],
)
def test_what_cannot_be_stored_with_a_job(option: str, value: Any) -> None:
    changed = declaring.full.using(**{option: value})

    with pytest.raises(InvalidTask) as raised:
        options(changed, 1, declared=declaring.full)

    text = str(raised.value)
    assert text.startswith(f"Task 'tests.queues.declaring.full': {option} is ")
    assert "what the task at this path declares" in text
    assert options(changed, 1).overrides == ""


def test_declared_functions_need_not_be_stored() -> None:
    changed = declaring.programmed.using(max_attempts=2)

    assert options(changed, 1, declared=declaring.programmed).overrides == '{"max_attempts":2}'


def test_tasks_of_other_backends() -> None:
    changed = declaring.send.using(max_attempts=2)

    assert options(changed, 1, declared=WITHOUT).overrides == '{"max_attempts":2}'
    assert options(WITHOUT, 1, declared=changed).overrides == '{"max_attempts":null}'


def test_now_may_be_in_any_time_zone() -> None:
    task = declaring.send.using(expires=datetime(2030, 1, 1, 1, tzinfo=UTC))
    now = datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    assert enqueue_plan(task, task).options((1,), {}, now).expires_in == 3600.0
