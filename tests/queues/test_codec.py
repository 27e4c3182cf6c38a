"""Arguments and return values as JSON text."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.exceptions import ArgumentError
from hosting.queues.stores.codec import (
    decode_dict,
    decode_list,
    encode_arguments,
    encode_return_value,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(st.lists(json_values), st.dictionaries(st.text(), json_values))
def test_json_comes_back_as_it_was(args: list[Any], kwargs: dict[str, Any]) -> None:
    args_text, kwargs_text = encode_arguments("t", args, kwargs)

    assert args_text.isascii()
    assert kwargs_text.isascii()
    assert "\x00" not in args_text
    assert (decode_list(args_text), decode_dict(kwargs_text)) == (args, kwargs)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ((1, (2,)), [1, [2]]),
        (b"caf\xc3\xa9", "café"),
        (range(3), [0, 1, 2]),
        (
            {1: "a", None: "b", False: "c", 1.5: "d"},
            {"1": "a", "null": "b", "false": "c", "1.5": "d"},
        ),
        ({"a": {2: 3}}, {"a": {"2": 3}}),
    ],
)
def test_near_misses_are_normalised(value: Any, stored: Any) -> None:
    assert decode_list(encode_arguments("t", [value], {})[0]) == [stored]


looped: list[Any] = []
looped.append(looped)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 1),
        {1, 2},
        Decimal("1.5"),
        object(),
        b"\xff",
        float("nan"),
        float("inf"),
        [{"deep": [float("-inf")]}],
        {float("nan"): 1},
        {(1, 2): 3},
        {1: "a", "1": "b"},
        {None: "a", "x": {True: "a", "true": "b"}},
        looped,
        10**5000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_refused_by_name(value: Any) -> None:
    kind = type(value).__name__
    with pytest.raises(ArgumentError, match=rf"^Argument 2 of a\.b \({kind}\) cannot be stored"):
        encode_arguments("a.b", [1, value], {})
    with pytest.raises(ArgumentError, match=rf"^Argument 'when' of a\.b \({kind}\) cannot be"):
        encode_arguments("a.b", [], {"ok": 1, "when": value})
    with pytest.raises(ArgumentError, match=rf"^The return value of a\.b \({kind}\) cannot be"):
        encode_return_value("a.b", value)


@pytest.mark.parametrize("text", ["", "[", "{}", "[Infinity]", "[" * 200_000, "null", '"a"'])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_list(text)


def test_the_text_is_plain_json() -> None:
    assert json.loads(encode_return_value("t", {"a": None})) == {"a": None}
