"""A view on a terminal that is drawn anew every second, until `q` or Ctrl-C."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TextIO

from hosting.process.console import single_keys
from hosting.scope import Scope

#: Seconds between two pictures.
REFRESH = 1.0

# A screen of its own without a cursor, so that the terminal is afterwards as it was before.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


def watch(lines: Callable[[], Iterable[str]], keys: TextIO, screen: TextIO) -> None:
    """Draw the lines again and again; each time is a scope of its own. Both are terminals."""
    with single_keys(keys.fileno()) as terminal, suppress(KeyboardInterrupt):
        try:
            screen.write(_ENTER)
            while True:
                _draw(lines, screen)
                if _is_over(terminal):
                    break
        finally:
            screen.write(_LEAVE)
            screen.flush()


def _draw(lines: Callable[[], Iterable[str]], screen: TextIO) -> None:
    columns, rows = os.get_terminal_size(screen.fileno())
    with Scope():
        shown = [*lines()][: max(1, rows - 1)]
    text = "".join(f"{line[: columns or None]}{_REST_OF_LINE}\r\n" for line in shown)
    screen.write(f"{_HOME}{text}{_REST_OF_SCREEN}")
    screen.flush()


def _is_over(terminal: int) -> bool:
    """Wait for the next picture; True if `q` was pressed, or the terminal is gone."""
    readable, _, _ = select.select([terminal], [], [], REFRESH)
    return bool(readable) and os.read(terminal, 1) in (b"q", b"Q", b"")
