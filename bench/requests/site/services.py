from __future__ import annotations

from hosting import CancellationToken, TimedService


class Pulse(TimedService):
    """Is due every second, and has nothing to do."""

    interval = 1

    def tick(self, stopping: CancellationToken) -> None:
        pass
