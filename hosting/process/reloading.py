"""Django's autoreloader, with children that end gracefully.

The autoreloader runs the real program in a child process, and starts another when files change. As
Django has it, a signal to the parent kills the child with SIGKILL: SIGTERM at once, Ctrl-C after a
quarter of a second. Here the parent, asked to stop, lets go of the child's lifeline and waits.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from django.utils import autoreload

from hosting.process import shutdown
from hosting.process.lifeline import Lifeline, line_to_parent

#: The exit code by which a child asks to be started again.
RELOAD = 3

#: Seconds that a signal sent to the whole group gets to end the child before the lifeline does.
SIGNAL_FIRST = 0.3

#: Seconds between two looks for a signal while a child runs.
SIGNAL_LOOK = 0.5


def end_children_gracefully() -> None:
    """Make the autoreloader of this process, a reloader's parent, wait for its children's end."""
    if os.name == "posix":
        autoreload.restart_with_reloader = run_children


def run_children() -> int:
    """Run the program in child processes until one ends for good; gives its exit code."""
    while (code := _Child().run()) == RELOAD:
        pass
    return code


def follow_parent(stop: Callable[[], object]) -> None:
    """In a reloader's child: `stop` and end once the parent lets go of the lifeline."""

    def stop_then_end() -> None:
        stop()
        if not shutdown.exiting.wait(SIGNAL_FIRST):
            os.kill(os.getpid(), signal.SIGTERM)

    shutdown.note_exit()
    when_parent_lets_go(stop_then_end)


def when_parent_lets_go(callback: Callable[[], object]) -> None:
    """Call `callback`, on a thread of its own, once the parent has let go of the lifeline."""
    if line := line_to_parent():
        line.when_let_go(callback)


class _Child:
    """One child process at the end of a lifeline."""

    def run(self) -> int:
        """Start the child and wait for its end; gives its exit code."""
        self._signals: list[int] = []
        self._lifeline = Lifeline()
        self._process = self._lifeline.start(
            autoreload.get_child_arguments(),
            {**os.environ, autoreload.DJANGO_AUTORELOAD_ENV: "true"},
        )
        previous = {
            number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            code = self._wait()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._lifeline.let_go()
        return self._exit_code(code)

    def _wait(self) -> int:
        # One long wait would sleep through a signal that comes just before it begins.
        while True:
            with suppress(subprocess.TimeoutExpired):
                return self._process.wait(SIGNAL_LOOK)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)
        if len(self._signals) == 1:
            os.write(2, b"hosting: stopping; a second signal ends at once\n")
        else:
            self._process.kill()
        self._lifeline.let_go()

    def _exit_code(self, code: int) -> int:
        """The code for the parent to exit with, or RELOAD."""
        if len(self._signals) > 1:
            return 128 + self._signals[1]
        if code == RELOAD and self._signals:
            return 0  # asked to end while it ended to be started again
        return code if code >= 0 else 128 - code
