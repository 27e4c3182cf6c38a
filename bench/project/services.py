"""A service that has nothing to do."""

from __future__ import annotations

from hosting import BackgroundService, CancellationToken


class Idle(BackgroundService):
    def execute(self, stopping: CancellationToken) -> None:
        stopping.wait()
