"""What an enqueue refuses, and where it says the fault is."""

from typing import Any

import pytest

from hosting.compat import task_backends
from hosting.exceptions import ArgumentError
from hosting.models import Job
from tests.queues.at_work import tasks
from tests.queues.at_work.facts import with_options

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), object(), {1, 2}, b"\xff"],
    ids=["NaN", "Infinity", "object", "set", "bytes"],
)
def test_what_is_no_json_is_named(value: Any) -> None:
    with pytest.raises(ArgumentError, match=r"Argument 1 of .*\.add_all .*cannot be stored"):
        tasks.add_all.enqueue(value)
    with pytest.raises(ArgumentError, match=r"Argument 'extra' of .*\.add_all"):
        tasks.add_all.enqueue(1, extra=[value])
    assert not Job.objects.exists()


def test_what_is_too_large_is_named(settings: Any) -> None:
    with_options(settings, MAX_ARGUMENTS_BYTES=100)
    tasks.add_all.enqueue("x" * 90)

    with pytest.raises(ArgumentError, match="allowed: 100") as raised:
        tasks.add_all.enqueue("x" * 50, extra="x" * 60)
    assert "the largest is argument 'extra' with 62" in str(raised.value)
    with pytest.raises(ArgumentError, match="the largest is argument 1 with 102"):
        task_backends["default"].enqueue_many(tasks.add_all, [(1,), ("x" * 100,)])
    assert Job.objects.count() == 1


def test_a_megabyte_is_too_large_by_default() -> None:
    tasks.add_all.enqueue("x" * 999_000)
    with pytest.raises(ArgumentError, match="MAX_ARGUMENTS_BYTES"):
        tasks.add_all.enqueue("x" * 1_000_000)
