"""What the form takes, and what it says of the rest."""

import pytest

from messages_app.forms import AddTaskForm

GOOD = {"queue": "database", "steps": "3", "delay": "5"}


def errors(**values: str) -> dict[str, list[str]]:
    found = AddTaskForm({**GOOD, **values}).errors
    return {field: [str(message) for message in messages] for field, messages in found.items()}


def test_the_defaults_fill_in_what_the_request_does_not_have() -> None:
    form = AddTaskForm({})

    assert form.is_valid(), form.errors
    assert form.cleaned_data == {"queue": "database", "steps": 3, "delay": 5.0}


def test_the_fields_show_the_defaults() -> None:
    page = AddTaskForm().as_p()

    assert '<option value="database" selected>' in page
    assert 'name="steps" value="3" min="1" max="20"' in page
    assert 'name="delay" value="5" min="0" max="60"' in page


@pytest.mark.parametrize("steps", ["1", "20", " 7 "])
def test_steps_may_be_1_to_20(steps: str) -> None:
    assert not errors(steps=steps)


@pytest.mark.parametrize("delay", ["0", "0.25", "60", "6e1"])
def test_the_delay_may_be_0_to_60_seconds_and_fractions_of_them(delay: str) -> None:
    assert not errors(delay=delay)


@pytest.mark.parametrize("steps", ["0", "21", "-1", "2.5", "many", "1e3", "<b>", "nan", "9" * 5000])
def test_other_steps_are_refused_by_their_value_and_with_what_is_allowed(steps: str) -> None:
    [error] = errors(steps=steps)["steps"]

    assert f"“{steps[:30]}" in error
    assert "whole number from 1 to 20" in error
    assert len(error) < 120


@pytest.mark.parametrize("delay", ["-0.1", "60.1", "61", "soon", "nan", "inf", "-inf", "1,5x"])
def test_other_delays_are_refused_by_their_value_and_with_what_is_allowed(delay: str) -> None:
    [error] = errors(delay=delay)["delay"]

    assert f"“{delay}”" in error
    assert "from 0 to 60" in error


@pytest.mark.parametrize("queue", ["redis", "Database", "database\x00", "0"])
def test_other_queues_are_refused(queue: str) -> None:
    [error] = errors(queue=queue)["queue"]

    assert queue in error
    assert "“database” or “memory”" in error


@pytest.mark.parametrize("name", ["queue", "steps", "delay"])
@pytest.mark.parametrize("nothing", ["", "  "])
def test_a_field_that_was_emptied_is_missing(name: str, nothing: str) -> None:
    [error] = errors(**{name: nothing})[name]

    assert error.startswith("Missing: give ")


def test_memory_is_refused_where_nobody_drains_it() -> None:
    [error] = errors(queue="memory")["queue"]

    assert "hosts no QueuedHostedService" in error
    assert "database" in error


@pytest.mark.usefixtures("consumer")
def test_memory_is_taken_where_somebody_drains_it() -> None:
    assert not errors(queue="memory")
