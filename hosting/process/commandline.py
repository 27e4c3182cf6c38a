"""The command line by which a supervisor starts its children: its own, without `--processes`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from django.utils import autoreload

from hosting.exceptions import ConfigurationError

OPTION = "--processes"


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
    return [*whole[: len(whole) - len(given)], *own, "--no-reload"]


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
