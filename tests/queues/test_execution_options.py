"""What the options of a task mean for the execution of one job."""

import gc
import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hosting
from hosting import Backoff
from hosting.queues.declared import ExecutionOptions, enqueue_plan, execution_options, memory
from hosting.queues.stores.codec import DamagedJob
from tests.queues import declaring
from tests.queues.test_enqueue_options import WITHOUT

DEFAULT = Backoff(initial=1.0, maximum=1.0)


def options(task: Any, overrides: str = "") -> ExecutionOptions:
    return execution_options(task, overrides, 3, DEFAULT)


def waits_as(found: ExecutionOptions) -> Any:
    """The `Backoff` whose delays a job has."""
    return found.backoff.__self__


@pytest.mark.parametrize("task", [declaring.send, WITHOUT])
def test_a_task_without_options(task: Any) -> None:
    assert options(task) == ExecutionOptions(max_attempts=3, backoff=DEFAULT.delay)
    assert waits_as(options(task)) is DEFAULT


def test_a_task_with_every_option() -> None:
    found = options(declaring.full)

    assert waits_as(found) == Backoff(initial=2.0)
    assert found == ExecutionOptions(
        max_attempts=5,
        backoff=found.backoff,
        retry_on=(OSError, ValueError),
        give_up_on=FileNotFoundError,
        timeout=30.0,
        atomic=True,
    )


def test_a_job_may_bring_changes_along() -> None:
    changed = declaring.full.using(
        max_attempts=2, timeout=1.5, backoff=Backoff(7, 2, 8), atomic=False
    )
    text = enqueue_plan(changed, declaring.full).options((1,), {}, declaring.NOW).overrides

    found = options(declaring.full, text)

    assert (found.max_attempts, found.timeout, found.atomic) == (2, 1.5, False)
    assert waits_as(found) == Backoff(7, 2, 8)
    assert found.retry_on == (OSError, ValueError)


def test_none_is_the_default_again() -> None:
    text = '{"max_attempts":null,"timeout":null,"backoff":null}'

    found = options(declaring.full, text)

    assert (found.max_attempts, found.timeout) == (3, None)
    assert waits_as(found) is DEFAULT


def test_what_was_found_is_kept() -> None:
    assert options(declaring.full) is options(declaring.full)
    assert options(declaring.full) is not options(declaring.full, '{"timeout":1}')
    assert execution_options(declaring.full, "", 3, Backoff(2.5)) is not options(declaring.full)


def test_no_other_task_is_taken_for_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "AT_MOST", 5)
    for attempts in range(1, 40):
        made = hosting.task(max_attempts=attempts)(declaring.plain)
        assert options(made).max_attempts == attempts
        assert enqueue_plan(made, made).options((1,), {}, declaring.NOW).overrides == ""
        del made
        gc.collect(0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "Expecting value"),
        ("[]", "an object is expected, found list"),
        ("null", "an object is expected"),
        ('{"retry_on": "OSError"}', "'retry_on' is unknown"),
        ('{"__class__": 1}', "'__class__' is unknown"),
        ('{"max_attempts": 0}', "max_attempts is 0, allowed"),
        ('{"max_attempts": "3"}', "max_attempts is '3', allowed"),
        ('{"timeout": -1}', "timeout is -1, allowed"),
        ('{"timeout": NaN}', "NaN is not JSON"),
        ('{"atomic": null}', "atomic is None, allowed"),
        ('{"atomic": 1}', "atomic is 1, allowed"),
        ('{"backoff": 5}', "backoff is 5, allowed: an object of initial, factor, maximum"),
        ('{"backoff": {"initial": 1}}', "allowed: an object of initial, factor, maximum"),
        ('{"backoff": {"initial": 1, "factor": 0, "maximum": 1}}', "backoff.factor is 0"),
    ],
)
def test_damaged_overrides(text: str, words: str) -> None:
    with pytest.raises(DamagedJob) as raised:
        options(declaring.send, text)

    assert str(raised.value).startswith("options: ")
    assert words in str(raised.value)
    assert "tests.queues.declaring.send" in str(raised.value)


def test_a_coroutine_function_is_not_executed_as_atomic() -> None:
    with pytest.raises(DamagedJob, match="options: atomic is True"):
        options(declaring.fetch, '{"atomic": true}')


@settings(max_examples=30)
@given(st.text('{}[]:,"a1 ') | st.dictionaries(st.text("ab"), st.integers()).map(json.dumps))
def test_any_other_text_is_damaged(text: str) -> None:
    if text.replace(" ", "") == "{}" or not text:
        return
    try:
        options(declaring.send, text)
    except DamagedJob:
        return
    raise AssertionError(text)


# Will it be attempted again


@pytest.mark.parametrize(
    ("error", "failures", "again"),
    [
        (OSError(), 1, True),
        (ValueError(), 4, True),
        (OSError(), 5, False),
        (OSError(), 99, False),
        (ConnectionResetError(), 1, True),
        (FileNotFoundError(), 1, False),
        (KeyError(), 1, False),
        (SystemExit(), 1, False),
    ],
)
def test_after_these_errors(error: BaseException, failures: int, again: bool) -> None:
    assert options(declaring.full).will_retry(error, failures) is again


@pytest.mark.parametrize(
    ("error", "again"), [(KeyError(), True), (SystemExit(), False), (KeyboardInterrupt(), False)]
)
def test_every_exception_by_default(error: BaseException, again: bool) -> None:
    assert options(declaring.send).will_retry(error, 1) is again
    assert not options(declaring.send).will_retry(error, 3)


def test_after_no_error() -> None:
    task = declaring.send.using(retry_on=())

    assert not options(task).will_retry(OSError(), 1)


# How long until then


def test_a_function_tells_the_seconds() -> None:
    assert [options(declaring.programmed).backoff(n) for n in (1, 2, 3)] == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("given", [-1, float("nan"), float("inf"), "5", None, KeyError("x")])
def test_a_function_that_fails_holds_up_no_job(
    given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def backoff(failures: int) -> Any:
        if isinstance(given, Exception):
            raise given
        return given

    task = declaring.send.using(backoff=backoff)
    with caplog.at_level(logging.ERROR, "hosting"):
        assert 0.5 <= options(task).backoff(1) <= 1.0

    [record] = caplog.records
    assert "backoff of task tests.queues.declaring.send failed" in record.getMessage()
    assert record.exc_info
