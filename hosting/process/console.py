"""The keys of the terminal on which `runworker --interactive` runs."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from hosting.cancellation import CancellationToken
from hosting.process.stop_signals import before_abrupt_end
from hosting.services import BackgroundService
from hosting.signals import key_pressed

HELP = "Press w to add a work item, q to quit."


class Console(BackgroundService):
    """Announces every key that is pressed (`hosting.signals.key_pressed`); `q` stops the host."""

    def execute(self, stopping: CancellationToken) -> None:
        with single_keys(sys.stdin.fileno()) as terminal:
            sys.stdout.write(f"{HELP}\n")
            sys.stdout.flush()
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
def single_keys(terminal: int) -> Iterator[int]:
    """Have the terminal give each key at once and without echo, and put it back afterwards."""
    import termios  # not there on Windows, where the command is to load all the same
    import tty

    put_back = partial(termios.tcsetattr, terminal, termios.TCSANOW, termios.tcgetattr(terminal))
    before_abrupt_end.append(put_back)
    try:
        tty.setcbreak(terminal)
        yield terminal
    finally:
        put_back()
        before_abrupt_end.remove(put_back)
