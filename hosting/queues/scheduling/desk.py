"""When the schedules of one database are looked at, and what happens while it is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hosting.queues.outage import DATABASE_TROUBLE, PATIENCE, Outage
from hosting.queues.scheduling.keeper import Keeper


class Desk:
    """Has a keeper look when it is time to; for one thread, but for `ring`.

    It keeps its connection between looks, and closes it only when something is wrong.
    """

    def __init__(
        self, service: str, keeper: Keeper, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.alias = keeper.store.alias
        self._keeper = keeper
        self._outage = Outage(self.alias, service)
        self._clock = clock
        self._next_look = 0.0
        self._is_rung = threading.Event()

    def ring(self, bell: threading.Event) -> Callable[[], None]:
        """What to call, on any thread, when a schedule has changed; it rings the bell too."""

        def ring() -> None:
            self._is_rung.set()
            bell.set()

        return ring

    def serve(self) -> float:
        """Look if it is time to; seconds until it is."""
        if self._is_rung.is_set() or self._clock() >= self._next_look:
            # Before the look: a change that is told of during it is worth another one.
            self._is_rung.clear()
            pause = self._look()
            self._next_look = self._clock() + pause
        return 0.0 if self._is_rung.is_set() else max(0.0, self._next_look - self._clock())

    def _look(self) -> float:
        try:
            with self._keeper.store.deadline(PATIENCE):
                pause = self._keeper.round()
        except DATABASE_TROUBLE as error:
            return self._outage.note(error)
        self._outage.end()
        return pause
