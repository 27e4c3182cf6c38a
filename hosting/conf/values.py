"""Judges of single values: each gives what the value means, or raises what is allowed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from hosting.conf.problems import allowed_names

Judge = Callable[[Any], Any]


def boolean(value: Any) -> bool:
    """True or False, and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise ValueError("allowed: True or False")
    return value


def switch_for(package: str, extra: str) -> Judge:
    """True or False; True only where an optional package is installed, which `extra` brings."""

    def judged(value: Any) -> bool:
        if boolean(value) and not _is_installed(package):
            install = f"pip install 'django-hosting-services[{extra}]'"
            raise ValueError(f"but {package} is not installed: {install}, allowed without: False")
        return bool(value)

    return judged


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # its parent is missing; or it stands in for another
        return False


def seconds(value: Any) -> float:
    """A finite number of seconds, 0 or more."""
    if not _is_number(value) or not 0 <= value <= sys.float_info.max:
        raise ValueError("allowed: a finite number of seconds, 0 or more")
    return float(value)


def positive_seconds(value: Any) -> float:
    """A finite number of seconds, more than 0."""
    if not _is_number(value) or not 0 < value <= sys.float_info.max:
        raise ValueError("allowed: a finite number of seconds, more than 0")
    return float(value)


def seconds_between(least: float, most: float) -> Judge:
    """A number of seconds, so many at least and so many at most."""

    def judged(value: Any) -> float:
        if not _is_number(value) or not least <= value <= most:
            raise ValueError(f"allowed: a number of seconds, {least:g} to {most:g}")
        return float(value)

    return judged


def count(value: Any) -> int:
    """A whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("allowed: a whole number, 0 or more")
    return value


def or_none(judge: Judge) -> Judge:
    """The same judge, for a value that may also be None."""

    def judged(value: Any) -> Any:
        if value is None:
            return None
        try:
            return judge(value)
        except ValueError as error:
            raise ValueError(f"{error}, or None") from None

    return judged


def one_of(*names: str) -> Judge:
    """One of these names."""

    def judged(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(allowed_names(value, names))
        return value

    return judged


def some_of(*names: str) -> Judge:
    """One of these names, or a list of at least one of them; gives a frozenset."""

    or_a_list = ", or a list of them"

    def judged(value: Any) -> frozenset[str]:
        chosen = [value] if isinstance(value, str) else value
        if not isinstance(chosen, (list, tuple, set, frozenset)) or not chosen:
            raise ValueError(allowed_names("", names, or_a_list))
        for name in chosen:
            if name not in names:
                raise ValueError(allowed_names(name, names, or_a_list))
        return frozenset(chosen)

    return judged


#: How an environment variable may say it.
_AUTOSTART_WORDS = {
    **dict.fromkeys(("auto", ""), None),
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def autostart(value: Any) -> bool | None:
    """Whether a web process hosts services; None is "auto". Words come from the environment."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.strip().lower() not in _AUTOSTART_WORDS:
        raise ValueError('allowed: "auto", True or False (in the environment: auto, 1 or 0)')
    return _AUTOSTART_WORDS[value.strip().lower()]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
