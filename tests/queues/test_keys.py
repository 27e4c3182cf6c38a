"""Which calls are the same: whatever their spelling, and no others."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hosting import Concurrency, Rate, Unique
from hosting.compat import InvalidTask
from hosting.exceptions import ArgumentError
from hosting.queues.declared.enqueueing import EnqueuePlan
from hosting.queues.declared.keys import LONGEST_KEY, key_text
from tests.queues import declaring

JSON = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 1.0, -0.5, "", "1", "null"])
    | st.integers()
    | st.text("aé\u0000\ud800", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner, max_size=2),
    max_leaves=3,
)
NAMED = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=3)

# A key is one short expression of its call: few examples find what is wrong with it.
few = settings(max_examples=20)


def unique_key(task: Any, *args: Any, **kwargs: Any) -> str:
    """The key of a call of a task that is unique by all arguments, or as it says."""
    task = task if task.unique else task.using(unique=True)
    key = EnqueuePlan.of(task, task).limits.unique_key(task, args, kwargs)
    assert key is not None
    return key


def text(*values: Any) -> str:
    return json.dumps(values, sort_keys=True)


def test_a_key_is_the_same_for_ever() -> None:
    # Jobs of a release and of the one before it meet in the same table.
    key = unique_key(declaring.send, {"ä": [1, 2.5, None]}, copies=2, urgent=True)

    digest = "3def63adcf6dfd072e326627b3074621ca49e4f3460f7119ec3e418641434caa"
    assert key == f"tests.queues.declaring.send:{digest}"


@few
@given(JSON, JSON, JSON)
def test_every_spelling_of_a_call_has_one_key(order: Any, copies: Any, urgent: Any) -> None:
    keys = {
        unique_key(declaring.send, order, copies, urgent=urgent),
        unique_key(declaring.send, order, urgent=urgent, copies=copies),
        unique_key(declaring.send, urgent=urgent, copies=copies, order=order),
        unique_key(declaring.send, copies=copies, order=order, urgent=urgent),
        unique_key(declaring.send, *json.loads(text(order, copies)), urgent=urgent),
    }

    assert len(keys) == 1


@few
@given(JSON)
def test_defaults_may_be_left_out(order: Any) -> None:
    keys = {
        unique_key(declaring.send, order),
        unique_key(declaring.send, order, 1),
        unique_key(declaring.send, urgent=False, order=order, copies=1),
    }

    assert len(keys) == 1


@few
@given(JSON, JSON, JSON, JSON)
def test_other_arguments_have_another_key(a: Any, b: Any, c: Any, d: Any) -> None:
    assume(text(a, b) != text(c, d))

    assert unique_key(declaring.send, a, b) != unique_key(declaring.send, c, d)


@few
@given(st.lists(JSON, min_size=1, max_size=4), NAMED, st.lists(JSON, min_size=1, max_size=4), NAMED)
def test_surplus_arguments_count(args: Any, kwargs: Any, more: Any, others: Any) -> None:
    assume("first" not in kwargs and "first" not in others)
    same = text(args, kwargs) == text(more, others)

    assert (
        unique_key(declaring.collect, *args, **kwargs)
        == unique_key(declaring.collect, *more, **others)
    ) is same


@few
@given(JSON, JSON, JSON)
def test_only_chosen_arguments_count(order: Any, copies: Any, others: Any) -> None:
    task = declaring.send.using(unique="order")

    assert unique_key(task, order, copies) == unique_key(task, order, others, urgent=others)
    assert (unique_key(task, order) == unique_key(task, copies)) is (text(order) == text(copies))


@few
@given(st.text("a.é", max_size=600), JSON)
def test_a_key_is_short_and_begins_with_the_end_of_the_path(path: str, chosen: Any) -> None:
    key = key_text(path, chosen)

    assert len(key) <= LONGEST_KEY
    assert path.endswith(key.rpartition(":")[0])
    assert key == key_text(path, json.loads(json.dumps(chosen)))


def test_long_paths_have_keys_of_their_own() -> None:
    end = "x" * 200

    assert key_text(f"a.{end}", {}) != key_text(f"b.{end}", {})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (1, 1.0),
        (0, False),
        (None, "null"),
        ([], {}),
        ({"a": 1}, {"a": 2}),
        ("é", "e\u0301"),
    ],
)
def test_values_that_look_alike(one: Any, other: Any) -> None:
    assert unique_key(declaring.send, one) != unique_key(declaring.send, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [((1, 2), [1, 2]), (b"x", "x"), ({1: 2}, {"1": 2}), ({"a": 1, "b": 2}, {"b": 2, "a": 1})],
)
def test_values_that_are_one_as_json(one: Any, other: Any) -> None:
    assert unique_key(declaring.send, one) == unique_key(declaring.send, other)


@pytest.mark.parametrize(
    "same",
    ["order", 0, ("order",), (0,), ("order", 0)],
)
def test_spellings_of_a_choice(same: Any) -> None:
    chosen = declaring.send.using(unique=Unique(key=same))

    assert unique_key(chosen, 5) == unique_key(declaring.send.using(unique="order"), 5)


def test_chosen_surplus_arguments() -> None:
    by_third = declaring.collect.using(unique=Unique(key=2))
    by_name = declaring.collect.using(unique="word")

    assert unique_key(by_third, 1, 2, 3) == unique_key(by_third, 9, 9, 3, 9)
    assert unique_key(by_third, 1, 2, 3) != unique_key(by_third, 1, 2, 4)
    assert unique_key(by_third, 1, 2) != unique_key(by_third, 1, 2, None)
    assert unique_key(by_name, 1, word=2) == unique_key(by_name, 3, other=4, word=2)
    assert unique_key(by_name, 1) != unique_key(by_name, 1, word=None)


def test_the_context_does_not_count() -> None:
    assert unique_key(declaring.report, 5) == unique_key(declaring.report, order=5)


def test_a_default_that_is_not_json_is_no_hindrance() -> None:
    assert unique_key(declaring.sentinel, 5) == unique_key(declaring.sentinel, order=5)
    assert unique_key(declaring.sentinel, 5) != unique_key(declaring.sentinel, 5, None)


def test_no_argument_at_all_counts() -> None:
    task = declaring.send.using(unique=Unique(key=()))

    assert unique_key(task, 1) == unique_key(task, 2)
    assert unique_key(task, 1) != unique_key(declaring.collect.using(unique=Unique(key=())), 1)


def test_a_function_makes_the_key() -> None:
    task = declaring.send.using(unique=Unique(key=lambda args, kwargs: f"{args}{kwargs}"))

    assert unique_key(task, 1, urgent=True) == key_text(task.module_path, "(1,){'urgent': True}")


@pytest.mark.parametrize("made", [None, 5, b"x"])
@pytest.mark.parametrize("option", ["unique", "concurrency", "rate"])
def test_a_function_that_makes_no_text(option: str, made: Any) -> None:
    def key(args: Any, kwargs: Any) -> Any:
        return made

    values: dict[str, Callable[[], Any]] = {
        "unique": lambda: Unique(key=key),
        "concurrency": lambda: Concurrency(1, key=key),
        "rate": lambda: Rate(1, 1, key=key),
    }
    task: Any = declaring.send.using(**{option: values[option]()})
    words = rf"'tests\.queues\.declaring\.send': what the key of {option} gave is .*: a string"
    with pytest.raises(InvalidTask, match=words):
        EnqueuePlan.of(task, task).options((1,), {}, declaring.NOW)


def test_a_call_that_does_not_fit() -> None:
    task = declaring.send.using(unique=True)
    path = r"tests\.queues\.declaring\.send"

    with pytest.raises(ArgumentError, match=rf"do not fit {path}: missing a required argument"):
        unique_key(task)
    with pytest.raises(ArgumentError, match=rf"do not fit {path}: .*unexpected keyword.* 'x'"):
        unique_key(task, 1, x=2)
    with pytest.raises(ArgumentError, match=rf"Argument 'copies' of {path} \(set\) cannot be"):
        unique_key(task, 1, copies={1})
