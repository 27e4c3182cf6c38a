"""The command line by which a supervisor starts its children: its own, without `--processes`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence

from django.utils import autoreload

from hosting.exceptions import ConfigurationError

OPTION = "--processes"

#: The interpreter's options without a value, but for those that end it at once or have it ask a
#: person. Those with a value, -W and -X, are kept by Django.
FLAGS = "bBdEIOPqRsSuvx"

_HASHES = "--check-hash-based-pycs"
_OPTIONS = re.compile(r"-(?=.)(?P<flags>[^cmWX-]*)(?P<valued>[cmWX].*)?")


def child_arguments() -> list[str]:
    """The interpreter, the program, and the arguments of a child.

    Raises `ConfigurationError` if this process was not started by a command line that says how many
    processes there are to be: each child would start as many.
    """
    given = sys.argv[1:]
    own = list(_without_option(given))
    if own == given:
        raise ConfigurationError(
            f"{OPTION} starts the same command line again for every process, so it is to stand in "
            f"that; found {' '.join(sys.argv)!r}, allowed: one like 'manage.py runworker "
            f"{OPTION} 4'."
        )
    try:
        # As Django starts itself again, which ends with all that follows the program.
        whole = [str(each) for each in autoreload.get_child_arguments()]
    except RuntimeError as error:
        raise ConfigurationError(f"{OPTION} cannot start this program again: {error}") from error
    program = whole[1 : len(whole) - len(given)]
    return [whole[0], *_interpreter_flags(sys.orig_argv[1:]), *program, *own, "--no-reload"]


def _without_option(arguments: Sequence[str]) -> Iterator[str]:
    is_value = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if is_value:
            is_value = False
        elif len(name) > len("--p") and OPTION.startswith(name):  # argparse takes a beginning
            is_value = not equals
        else:
            yield argument


def _interpreter_flags(arguments: Iterable[str]) -> Iterator[str]:
    """The options of the interpreter that Django leaves out, of those that come before a program.

    They may be written together, and with one that has a value at the end: -OuW error.
    """
    left = iter(arguments)
    for argument in left:
        if argument == _HASHES:
            yield from (argument, next(left))
            continue
        options = _OPTIONS.fullmatch(argument)
        if options is None:
            return
        yield from (f"-{flag}" for flag in options["flags"] if flag in FLAGS)
        valued = options["valued"] or ""
        if valued.startswith(("c", "m")):
            return
        if valued in ("W", "X"):
            next(left)
