"""A view on a terminal that is drawn anew every second, until `q`, Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, TextIO

from hosting.process.console import single_keys
from hosting.scope import Scope

#: Seconds between two pictures.
REFRESH = 1.0

# A screen of its own without a cursor, so that the terminal is afterwards as it was before.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


#: Columns of a terminal that does not know how many it has.
UNLIMITED = 10_000

Lines = Callable[[int], Iterable[str]]


def watch(lines: Lines, keys: TextIO, screen: TextIO) -> None:
    """Draw the lines for so many columns again and again; each time is a scope of its own.

    Both are terminals. Where there are too many lines, the last one is shown all the same.
    """
    with single_keys(keys.fileno()) as terminal, suppress(KeyboardInterrupt), _left_by_sigterm():
        try:
            screen.write(_ENTER)
            while True:
                _draw(lines, screen)
                if _is_over(terminal):
                    break
        finally:
            screen.write(_LEAVE)
            screen.flush()


def _draw(lines: Lines, screen: TextIO) -> None:
    columns, rows = os.get_terminal_size(screen.fileno())
    columns = columns or UNLIMITED
    with Scope():
        shown = [*lines(columns)]
    if rows and len(shown) >= rows:
        shown[max(0, rows - 2) : -1] = []
    text = "".join(f"{line[:columns]}{_REST_OF_LINE}\r\n" for line in shown)
    screen.write(f"{_HOME}{text}{_REST_OF_SCREEN}")
    screen.flush()


def _is_over(terminal: int) -> bool:
    """Wait for the next picture; True if `q` was pressed, or the terminal is gone."""
    readable, _, _ = select.select([terminal], [], [], REFRESH)
    return bool(readable) and os.read(terminal, 1) in (b"q", b"Q", b"")


@contextmanager
def _left_by_sigterm() -> Iterator[None]:
    """Have SIGTERM leave the block, as it would not give the terminal back."""
    if threading.current_thread() is not threading.main_thread():
        yield  # which no signal interrupts
        return
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)
