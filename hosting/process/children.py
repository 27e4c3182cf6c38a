"""A worker process as its supervisor has it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from hosting.process.lifeline import LIFELINE, Lifeline

#: Environment variable in which a worker process finds the number of its slot, from 1 on.
SLOT = "HOSTING_WORKER_SLOT"


def own_slot() -> int | None:
    """The number of this process's slot; None if no supervisor has started it.

    For who asks before the lifeline is taken hold of; what the process starts itself has none.
    """
    number = os.environ.get(SLOT, "") if LIFELINE in os.environ else ""
    return int(number) if number.isdecimal() else None


class Child:
    """A worker process, started now, in a session of its own; raises OSError if that fails."""

    def __init__(self, arguments: Sequence[str], slot: int) -> None:
        self.line = Lifeline()
        try:
            self._process = self.line.start(
                arguments,
                {**os.environ, SLOT: str(slot)},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self.line.let_go()
            raise

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def ended(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        code = self._process.poll()
        if code is not None:
            self.line.let_go()
        return code

    def kill(self) -> None:
        """End it by SIGKILL, if it runs."""
        self._process.kill()
