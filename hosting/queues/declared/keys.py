"""Which jobs of a task are the same, or share a limit: a short text made of chosen arguments.

The key of a call is `PATH:HASH`. HASH is the SHA-256 of the JSON text of the task's path and of the
chosen arguments by the names of their parameters. It does not depend on how the call was spelled:
in any order, by position or by name, with a default said or left out. Arguments are taken as JSON
brings them back, so 1 and "1" are different, and so are 1 and 1.0, while (1,) and [1] are not. The
text has at most 128 characters: of a longer path its end is shown, and the hash covers all of it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from hosting.exceptions import ArgumentError
from hosting.queues.declared.judges import Wrong
from hosting.queues.declared.values import Key, KeyFunction
from hosting.queues.stores.codec import decode_dict, decode_list, encode_arguments

LONGEST_KEY = 128
_LONGEST_PATH = LONGEST_KEY - 1 - 64

#: None is all arguments, () none; positions are left only where a parameter has no name for them.
Selector = tuple[str | int, ...] | KeyFunction | None

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def key_text(path: str, chosen: object) -> str:
    """The key of a job of the task at `path`; `chosen` is made of JSON's types."""
    text = json.dumps([path, chosen], sort_keys=True, separators=(",", ":"))
    return f"{path[-_LONGEST_PATH:]}:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a task may be called with, and what it gets when it is not told."""

    signature: inspect.Signature
    positional: tuple[str, ...]
    more_positional: str | None  # the name of *args
    more_named: str | None  # the name of **kwargs
    defaults: Mapping[str, Any]  # those that can be JSON: no call can say another

    def select(self, option: str, key: Key) -> Selector:
        """What `key` selects, in one spelling; raises `Wrong` for an argument there is not."""
        if key is None or callable(key):
            return key
        parts = [key] if isinstance(key, (str, int)) else key
        return tuple(sorted({self._one(option, part) for part in parts}, key=str))

    def _one(self, option: str, part: str | int) -> str | int:
        names = self.signature.parameters
        if isinstance(part, str):
            if part in names or self.more_named:
                return part
        elif 0 <= part < len(self.positional):
            return self.positional[part]
        elif part >= 0 and self.more_positional:
            return part
        known = ", ".join(map(repr, names)) or "none"
        raise Wrong(option, part, f"the arguments of the task, {known}, or their positions from 0")

    def choose(self, selector: tuple[str | int, ...] | None, arguments: Arguments) -> Any:
        """The selected arguments of a call, by name; raises TypeError if the call does not fit."""
        bound = self.signature.bind(*arguments.args, **arguments.kwargs)
        everything = {**self.defaults, **bound.arguments}
        if selector is None:
            return everything
        reachable = {**everything.get(self.more_named or "", {}), **everything}
        surplus = everything.get(self.more_positional or "", ())
        for position, value in enumerate(surplus, len(self.positional)):
            reachable[position] = value
        return {str(part): reachable[part] for part in selector if part in reachable}


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call as the task will get them: of JSON's types only."""

    args: list[Any]
    kwargs: dict[str, Any]

    @classmethod
    def read(cls, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
        """Of a call; raises `ArgumentError` naming one that cannot be JSON."""
        positional, named = encode_arguments(path, args, kwargs)
        return cls(decode_list(positional), decode_dict(named))


if sys.version_info >= (3, 14):
    # Annotations may name what is imported for type checkers only.
    from annotationlib import Format

    _signature = partial(inspect.signature, annotation_format=Format.FORWARDREF)
else:
    _signature = inspect.signature


@lru_cache(maxsize=1024)
def parameters(func: Callable[..., Any], takes_context: bool) -> Parameters:
    """The parameters of a task's function, without that of the context."""
    found = list(_signature(func).parameters.values())[1 if takes_context else 0 :]
    by_kind = {each.kind: each.name for each in found}
    return Parameters(
        signature=inspect.Signature(found),
        positional=tuple(each.name for each in found if each.kind in _POSITIONAL),
        more_positional=by_kind.get(inspect.Parameter.VAR_POSITIONAL),
        more_named=by_kind.get(inspect.Parameter.VAR_KEYWORD),
        defaults=dict(_defaults(found)),
    )


def _defaults(found: list[inspect.Parameter]) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for each in found:
        if each.kind is inspect.Parameter.VAR_POSITIONAL:
            pairs.append((each.name, []))
        elif each.kind is inspect.Parameter.VAR_KEYWORD:
            pairs.append((each.name, {}))
        elif each.default is not inspect.Parameter.empty:
            try:
                pairs.append((each.name, Arguments.read("", [each.default], {}).args[0]))
            except ArgumentError:
                continue
    return pairs


def call_key(
    option: str,
    selector: Selector,
    path: str,
    known: Callable[[], Parameters],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> str:
    """The key of one call.

    Raises `ArgumentError` if the call does not fit the task or an argument cannot be JSON, `Wrong`
    if the function that makes keys gives no string, and what that raises.
    """
    if selector == ():
        return key_text(path, {})
    if callable(selector):
        made = selector(args, kwargs)
        if not isinstance(made, str):
            raise Wrong(f"what the key of {option} gave", made, "a string")
        return key_text(path, made)
    arguments = Arguments.read(path, args, kwargs)
    try:
        return key_text(path, known().choose(selector, arguments))
    except TypeError as error:
        raise ArgumentError(f"The arguments do not fit {path}: {error}.") from None
