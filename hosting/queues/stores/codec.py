"""Arguments, return values and errors as JSON text, and back.

Values are brought to JSON's types first, as Django's task API has it (mappings, sequences, bytes
that are UTF-8). Then they are encoded strictly: what is decoded later equals what `enqueue`
returned, or encoding is refused. The text is ASCII, so a database that refuses \\u0000 or lone
surrogates takes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from hosting.compat import TaskError, normalize_json
from hosting.exceptions import ArgumentError, HostingError


class DamagedJob(HostingError):
    """A job's row holds something else than it should, so that the job cannot be executed."""


#: The text of a value that has JSON's types; `json.dumps` would make an encoder for each.
_strict = json.JSONEncoder(allow_nan=False).encode

#: Types that are JSON's, and hold nothing else.
_PLAIN = frozenset({int, str, bool, type(None)})


def encode_arguments(
    task_path: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[str, str]:
    """The JSON texts of the arguments; raises `ArgumentError` naming one that cannot be JSON."""
    if not args and not kwargs:
        return "[]", "{}"
    positional = [
        _encode(value, f"Argument {position} of {task_path}")
        for position, value in enumerate(args, 1)
    ]
    named = [
        f"{json.dumps(name)}: {_encode(value, f'Argument {name!r} of {task_path}')}"
        for name, value in kwargs.items()
    ]
    return f"[{', '.join(positional)}]", f"{{{', '.join(named)}}}"


def encode_return_value(task_path: str, value: Any) -> str:
    """The JSON text of a return value; raises `ArgumentError` if it cannot be JSON."""
    return _encode(value, f"The return value of {task_path}")


def encode_error(error: TaskError) -> str:
    """The JSON text of one error, an item of the column `errors`."""
    return json.dumps(
        {"exception_class_path": error.exception_class_path, "traceback": error.traceback}
    )


def with_item(text: str, item: str) -> str:
    """The JSON list in the text with one more item, or a new list if the text holds none."""
    if len(text) > 2 and text.startswith("[") and text.endswith("]"):
        return f"{text[:-1]}, {item}]"
    return f"[{item}]"


def decode_list(text: str) -> list[Any]:
    """The list in a JSON text; raises ValueError if it is none."""
    if text == "[]":
        return []
    value = _decode(text)
    if not isinstance(value, list):
        raise ValueError(f"a list is expected, found {type(value).__name__}")
    return value


def decode_dict(text: str) -> dict[str, Any]:
    """The object in a JSON text; raises ValueError if it is none."""
    if text == "{}":
        return {}
    value = _decode(text)
    if not isinstance(value, dict):
        raise ValueError(f"an object is expected, found {type(value).__name__}")
    return value


def decode_optional(text: str) -> Any:
    """The value in a JSON text, None if there is no text; raises ValueError if it is not JSON."""
    return _decode(text) if text else None


def decode_strings(text: str) -> tuple[str, ...]:
    """The strings in a JSON text; raises ValueError if it is no list of strings."""
    values = decode_list(text)
    if not all(isinstance(value, str) for value in values):
        raise ValueError("a list of strings is expected")
    return tuple(values)


def decode_errors(text: str) -> tuple[TaskError, ...]:
    """The errors in a JSON text; raises ValueError if it is no list of them."""
    try:
        return tuple(_error(**item) for item in decode_list(text))
    except TypeError:
        raise ValueError("a list of errors is expected") from None


def _error(*, exception_class_path: str, traceback: str) -> TaskError:
    return TaskError(exception_class_path=str(exception_class_path), traceback=str(traceback))


def _encode(value: Any, subject: str) -> str:
    try:
        if type(value) in _PLAIN:
            return _strict(value)
        normal = normalize_json(value)
        _refuse_equal_keys(normal)
        return _strict(normal)
    except RecursionError:
        reason = "it is nested too deeply, or contains itself"
    except (TypeError, ValueError) as error:
        reason = str(error)
    raise ArgumentError(f"{subject} ({type(value).__name__}) cannot be stored as JSON: {reason}.")


def _refuse_equal_keys(value: Any) -> None:
    """Raise ValueError if JSON, which knows only strings as keys, would merge keys of a mapping."""
    children: Iterable[Any] = ()
    if isinstance(value, dict):
        children = value.values()
        if not all(isinstance(key, str) for key in value):
            _refuse_repeated(_as_json_key(key) for key in value)
    elif isinstance(value, list):
        children = value
    for child in children:
        _refuse_equal_keys(child)


def _refuse_repeated(keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"two of its keys become {key!r}")
        seen.add(key)


def _as_json_key(key: Any) -> str:
    return str(next(iter(json.loads(json.dumps({key: None})))))


def _decode(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
