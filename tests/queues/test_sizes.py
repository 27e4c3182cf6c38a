"""How large the arguments of a job may be."""

import pytest

from hosting.exceptions import ArgumentError
from hosting.queues.sizes import MAX_ARGUMENTS_BYTES, require_size
from hosting.queues.stores.codec import encode_arguments


def test_what_fits() -> None:
    args, kwargs = encode_arguments("shop.send", ["x" * 10], {"body": "é"})

    require_size("shop.send", args, kwargs, len(args) + len(kwargs))
    require_size("shop.send", "[]", "{}")
    require_size("shop.send", "x" * MAX_ARGUMENTS_BYTES, "")


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        (["x" * 100, 1], {"body": "x" * 50}, "argument 1 with 102."),
        ([1, [2] * 100], {}, "argument 2 with 300."),
        ([1], {"to": 2, "body": "é" * 50}, "argument 'body' with 302."),
    ],
)
def test_the_largest_is_named(args: list[object], kwargs: dict[str, object], words: str) -> None:
    texts = encode_arguments("shop.send", args, kwargs)
    size = len("".join(texts))

    with pytest.raises(ArgumentError) as raised:
        require_size("shop.send", *texts, 99)

    assert str(raised.value) == (
        f"The arguments of shop.send have {size} bytes as JSON, allowed: 99 "
        f"(MAX_ARGUMENTS_BYTES); the largest is {words}"
    )
