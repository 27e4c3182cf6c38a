"""Sensitive arguments are shown to nobody, however a call passes them."""

from typing import Any

import pytest

from hosting import task
from hosting.compat import InvalidTask
from hosting.queues.declared import REDACTED, redacted
from hosting.queues.scheduling.definition import complaints
from hosting.queues.stores.scheduled import Definition


@task(sensitive=("password", "pin"))
def log_in(name: str, password: str, *, pin: int = 0) -> None: ...


@task(sensitive="secrets", takes_context=True)
def keep(context: Any, box: str, *secrets: str, **labels: str) -> None: ...


@task(sensitive=("label", "labels"))
def label(box: str, **labels: str) -> None: ...


@task(sensitive=True)
def whisper(*words: str, **more: str) -> None: ...


@task
def speak(word: str) -> None: ...


@pytest.mark.parametrize(
    ("called", "args", "kwargs", "shown"),
    [
        (log_in, ["ann", "hunter2"], {"pin": 7}, (["ann", REDACTED], {"pin": REDACTED})),
        (log_in, ["ann"], {"password": "hunter2"}, (["ann"], {"password": REDACTED})),
        (log_in, ["ann", "x", "old"], {"key": 1}, (["ann", *[REDACTED] * 2], {"key": REDACTED})),
        (keep, ["box", "a", "b"], {"tag": "x"}, (["box", REDACTED, REDACTED], {"tag": "x"})),
        (label, ["box"], {"tag": "x"}, (["box"], {"tag": REDACTED})),
        (whisper, ["a"], {"b": "c"}, ([REDACTED], {"b": REDACTED})),
        (speak, ["a"], {"b": "c"}, (["a"], {"b": "c"})),
        (None, ["a"], {"b": "c"}, ([REDACTED], {"b": REDACTED})),
    ],
    ids=["by position", "by name", "no parameter", "*args", "**kwargs", "all", "none", "no task"],
)
def test_what_is_shown(called: Any, args: list[Any], kwargs: dict[str, Any], shown: Any) -> None:
    assert redacted(args, kwargs, called) == shown


def test_an_argument_that_there_is_not_is_named() -> None:
    with pytest.raises(
        InvalidTask, match=r"sensitive is 'pasword', allowed: the arguments of the task, 'name', "
    ):
        task(sensitive=("name", "pasword"))(log_in.func)


@pytest.mark.parametrize("value", [5, (), ("name", 1), ["name"], ""], ids=repr)
def test_a_wrong_value_is_named(value: Any) -> None:
    with pytest.raises(InvalidTask, match=r"sensitive is .*, allowed: True, False, the name of an"):
        task(sensitive=value)(log_in.func)


def test_what_a_job_cannot_bring_along_is_refused(db: None) -> None:
    with pytest.raises(
        InvalidTask, match=r"sensitive is True, allowed: what the task at this path"
    ):
        speak.using(sensitive=True).enqueue("a")


@pytest.mark.parametrize("kwargs", ['{"password": "hunter2", "pni": 4711}', '["hunter2", 4711'])
def test_what_is_wrong_with_a_schedule_is_said_without_them(kwargs: str) -> None:
    values = {"task_path": f"{__name__}.log_in", "args": '["ann"]', "kwargs": kwargs}
    [complaint] = complaints(Definition(name="secret", interval=60, **values))
    assert REDACTED in complaint.words
    assert "hunter2" not in complaint.words
    assert "4711" not in complaint.words
