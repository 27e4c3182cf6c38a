"""The keys of the terminal on which `runworker --interactive` runs."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from hosting.cancellation import CancellationToken
from hosting.services import BackgroundService
from hosting.signals import key_pressed

HELP = "Press w to add a work item, q to quit."


class Console(BackgroundService):
    """Announces every key that is pressed (`hosting.signals.key_pressed`); `q` stops the host."""

    def execute(self, stopping: CancellationToken) -> None:
        sys.stdout.write(f"{HELP}\n")
        sys.stdout.flush()
        with _single_keys(sys.stdin.fileno()) as terminal:
            for key in _keys(terminal, stopping):
                if key == "q":
                    self.lifetime.stop()
                key_pressed.send_robust(type(self), key=key)


def _keys(terminal: int, stopping: CancellationToken) -> Iterator[str]:
    """The keys as they are pressed, until the service is to end or the terminal is closed."""
    interrupted, interrupt = os.pipe()
    try:
        with stopping.register(lambda: os.write(interrupt, b".")):
            while not stopping.is_cancelled:
                readable, _, _ = select.select([terminal, interrupted], [], [])
                if terminal in readable:
                    pressed = os.read(terminal, 1)
                    if not pressed:
                        return
                    yield pressed.decode(errors="replace")
    finally:
        os.close(interrupted)
        os.close(interrupt)


@contextmanager
def _single_keys(terminal: int) -> Iterator[int]:
    """Have the terminal give each key at once and without echo, and put it back afterwards."""
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
