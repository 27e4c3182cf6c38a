"""What a task may declare: by `@task`, on both task APIs, and by `using`."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync

import hosting
from hosting import Backoff, Concurrency, DatabaseTask, Rate, Unique
from hosting.compat import InvalidTask, Task, task, task_backends
from hosting.queues.declared.judges import OWN
from hosting.queues.declared.task import CallOptions, TaskOptions
from tests.queues import declaring

EVERY: dict[str, Any] = {
    "max_attempts": 4,
    "backoff": declaring.twice,
    "retry_on": (OSError, KeyError),
    "give_up_on": KeyError,
    "timeout": timedelta(minutes=1),
    "unique": Unique(key="order", until="started"),
    "concurrency": Concurrency(3, key="order"),
    "rate": Rate(5, timedelta(seconds=30), key=0),
    "atomic": True,
    "expires": datetime(2040, 1, 1, tzinfo=UTC),
    "sensitive": ("order",),
}
passes_options_on = pytest.mark.skipif(
    (6, 0) <= django.VERSION < (6, 1), reason="@task of Django 6.0 takes no further options"
)


@pytest.fixture
def backend(settings: Any) -> None:
    settings.TASKS = declaring.TASKS


@pytest.mark.usefixtures("backend")
class TestDecorators:
    def test_django_s_makes_our_tasks(self) -> None:
        made = task(declaring.plain)

        assert type(made) is DatabaseTask
        assert isinstance(made, Task)
        assert not any(getattr(made, option) for option in OWN)

    @passes_options_on
    def test_django_s_takes_every_option(self) -> None:
        made: Any = task(**EVERY)(declaring.plain)

        assert {option: getattr(made, option) for option in OWN} == EVERY

    @passes_options_on
    def test_django_s_refuses_a_wrong_value_where_the_task_is_declared(self) -> None:
        with pytest.raises(InvalidTask, match=r"declaring\.plain': max_attempts is 0, allowed"):
            task(max_attempts=0)(declaring.plain)

    def test_django_s_with_using_declares_options_on_every_version(self) -> None:
        made = task(declaring.plain).using(**EVERY)

        assert made == hosting.task(**EVERY)(declaring.plain)

    def test_ours_is_django_s_with_options(self) -> None:
        assert (
            hosting.task(declaring.plain)
            == task(declaring.plain)
            == hosting.task()(declaring.plain)
        )
        made = hosting.task(priority=2, queue_name="mail", backend="other")(declaring.plain)
        assert made == task(priority=2, queue_name="mail", backend="other")(declaring.plain)
        with_context = hosting.task(takes_context=True)(declaring.report.func)
        assert with_context.takes_context

    def test_ours_refuses_unknown_names(self) -> None:
        with pytest.raises(TypeError, match=r"@task: .*'max_atempts'.* mean 'max_attempts'\?"):
            hosting.task(max_atempts=3)
        with pytest.raises(TypeError, match="unknown option 'run_after'"):
            hosting.task(run_after=timedelta(1))


@pytest.mark.parametrize("where", ["dummy.DummyBackend", "immediate.ImmediateBackend"])
def test_ours_keeps_its_options_on_other_backends(settings: Any, where: str) -> None:
    package = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.{where}"}}

    made = hosting.task(max_attempts=3, unique="order")(declaring.plain)

    assert made.using(timeout=5).max_attempts == 3
    assert made.get_backend() is task_backends["default"]
    with pytest.raises(InvalidTask, match="max_attempts is 0"):
        made.using(max_attempts=0)


def test_options_are_listed_once() -> None:
    own = {each.name for each in fields(DatabaseTask)} - {each.name for each in fields(Task)}

    assert own - {"_delay"} == set(OWN) == set(TaskOptions.__annotations__) == set(EVERY)
    assert set(CallOptions.__annotations__) - set(OWN) == {
        "priority",
        "queue_name",
        "backend",
        "run_after",
    }


# using


@pytest.mark.parametrize("option", OWN)
def test_using_changes_one_option(option: str) -> None:
    changed = declaring.send.using(**{option: EVERY[option]})

    assert getattr(changed, option) == EVERY[option]
    assert changed == replace(declaring.send, **{option: EVERY[option]})
    assert changed != declaring.send
    assert type(changed) is DatabaseTask


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("priority", -5),
        ("queue_name", "mail"),
        ("backend", "other"),
        ("run_after", datetime(2030, 1, 1, tzinfo=UTC)),
    ],
)
def test_using_changes_django_s_options(option: str, value: Any) -> None:
    changed = declaring.full.using(**{option: value})

    assert getattr(changed, option) == value
    assert changed.max_attempts == declaring.full.max_attempts
    assert changed.using(**{option: None}) == changed


@pytest.mark.parametrize("option", [option for option in OWN if option != "atomic"])
def test_using_none_brings_an_option_back_to_its_default(option: str) -> None:
    changed = declaring.full.using(**{option: None})

    assert getattr(changed, option) is None


def test_using_refuses_unknown_names() -> None:
    with pytest.raises(TypeError) as raised:
        declaring.send.using(concurency=3)

    text = str(raised.value)
    assert text.startswith("using() of task 'tests.queues.declaring.send': unknown option")
    assert text.endswith("did you mean 'concurrency'?")
    for hidden in ("func", "takes_context", "_delay"):
        with pytest.raises(TypeError, match="unknown option"):
            declaring.send.using(**{hidden: None})


def test_a_timedelta_is_kept_until_the_enqueue() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    later = declaring.send.using(run_after=timedelta(minutes=5))

    assert (later.run_after, later._delay) == (None, timedelta(minutes=5))
    assert later.using(priority=1)._delay == timedelta(minutes=5)
    assert later.using(run_after=moment)._delay is None
    assert declaring.send.using(run_after=moment).using(run_after=timedelta(0)).run_after is None


@pytest.mark.django_db
def test_a_timedelta_counts_from_each_enqueue() -> None:
    later = declaring.send.using(run_after=timedelta(minutes=5))

    for result in (later.enqueue(1), async_to_sync(later.aenqueue)(1)):
        distance = result.task.run_after - result.enqueued_at
        assert timedelta(minutes=4) < distance < timedelta(minutes=6)
        assert result.task._delay is None
    assert later.run_after is None


def test_a_backend_that_cannot_wait_says_so(settings: Any) -> None:
    package = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.immediate.ImmediateBackend"}}

    with pytest.raises(InvalidTask, match="does not support run_after"):
        declaring.send.using(run_after=timedelta(minutes=5)).enqueue(1)


@pytest.mark.parametrize("period", [timedelta(seconds=-1), timedelta.max, timedelta.min])
def test_a_timedelta_has_bounds(period: timedelta) -> None:
    with pytest.raises(InvalidTask, match=r"run_after is .*, allowed: a timedelta from 0"):
        declaring.send.using(run_after=period)


def test_moments_are_naive_without_time_zones(settings: Any) -> None:
    settings.USE_TZ = False
    moment = datetime(2030, 1, 1)

    assert declaring.send.using(run_after=moment, expires=moment).expires == moment


# As values


@pytest.mark.parametrize(
    "again",
    [
        lambda value: pickle.loads(pickle.dumps(value)),
        copy.copy,
        copy.deepcopy,
        replace,
    ],
)
@pytest.mark.parametrize(
    "original",
    [
        declaring.send,
        declaring.full,
        declaring.programmed,
        declaring.fetch,
        declaring.full.using(run_after=timedelta(days=1), max_attempts=9),
    ],
)
def test_a_task_is_a_value(original: Any, again: Callable[[Any], Any]) -> None:
    other = again(original)

    assert other == original
    assert (type(other), other.func) == (DatabaseTask, original.func)
    assert hash(other) == hash(original)
    with pytest.raises((FrozenInstanceError, TypeError)):
        other.max_attempts = 1


def test_a_task_that_is_not_at_its_path_cannot_be_unpickled() -> None:
    made = hosting.task(declaring.plain)

    with pytest.raises(ValueError, match=r"declaring\.plain' is no task: it is a function"):
        pickle.loads(pickle.dumps(made))


@pytest.mark.parametrize("value", [Unique("a", "started"), Concurrency(1), Rate(1, 2.0), Backoff()])
def test_the_values_of_options_are_values(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) == copy.deepcopy(value) == replace(value) == value
    assert hash(value) == hash(replace(value))


@pytest.mark.parametrize(
    ("text", "count", "per"),
    [
        ("10/m", 10, 60),
        ("100/h", 100, 3600),
        ("5/30s", 5, 30),
        ("1/s", 1, 1),
        ("2/d", 2, 86400),
        (" 7 / 2 h ", 7, 7200),
    ],
)
def test_a_rate_as_text(text: str, count: int, per: float) -> None:
    assert Rate.parse(text) == Rate(count, per)
    assert declaring.send.using(rate=text).rate == text
