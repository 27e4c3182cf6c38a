"""When a worker searches for jobs, and what else it looks after while it waits.

While searches find jobs, the next one follows. One from the head that finds too little says that
nothing is ready; then the worker looks (one statement that locks nothing) what waits for its time
and what for its limit, and sleeps until something is due, until it is told of new jobs, or for a
while that grows from look to look: a wake-up can be lost, a look cannot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from hosting.queues.position import SELDOM, SHARE, Position
from hosting.queues.served import Served
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import HEAD

#: Seconds until the first look after work has ended; each further one comes twice as late.
FIRST = 0.025

#: How much later looks may come when the store tells of new jobs.
TOLD = 16

#: Seconds between looks at what is due, while there is always something ready.
BUSY = 0.25


class Lookout:
    """What one worker knows of its queues; for one thread, but for `ring` and `hint`.

    `listen` is told whether the worker sleeps and wants to be told of new jobs.
    """

    def __init__(
        self,
        store: Store,
        backend: str,
        queues: Collection[str] | None,
        poll_interval: float,
        position: Position,
        listen: Callable[[bool], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_told = False  # whether the store tells of new jobs
        #: Whether there may be jobs that are ready.
        self.has_more = True
        self.served = Served(store, backend, queues, clock)
        self._store = store
        self._upkeep = store.upkeep
        self._poll_interval = poll_interval
        self._position = position
        self._listen = listen
        self._clock = clock
        self._rung = self._hinted = False
        self._interval = FIRST
        self._next_look = clock()
        self._due_at: float | None = None

    def ring(self) -> None:
        """Note that jobs have been added, or something else calls for a search; on any thread."""
        self._rung = True

    def hint(self) -> bool:
        """Note that jobs may have been added, which is worth a look; on any thread.

        Whether it is worth waking the worker: not while it searches anyway, as it will look when it
        stops doing so, and that sees what was committed before.
        """
        self._hinted = True
        return not self.has_more

    def hear(self) -> None:
        """Take note of what was told."""
        if self._rung:
            self._rung = self._hinted = False
            self.served.doubt()
            self.find_more()
        if self._hinted:
            self._hinted = False
            self.served.doubt()
            self._position.rewind()
            if not self.has_more:
                self._next_look = self._clock()

    def refresh(self) -> None:
        """Notice that a queue was paused, or is to be served again."""
        if self.served.refresh(claims=self.has_more):
            self.find_more()

    def find_more(self) -> None:
        """Have the queues searched from their heads."""
        self.has_more = True
        self._interval = FIRST
        self._position.rewind()

    def found(self, nothing_is_left: bool) -> None:
        """Note what a search has shown."""
        if nothing_is_left:
            self.has_more = False
            self._next_look = min(self._next_look, self._clock())
        else:
            self._interval = FIRST

    def look_soon(self) -> None:
        """Have the next look now, as a limit may allow more."""
        self._next_look = min(self._next_look, self._clock())

    def look(self) -> None:
        """Do what the time has come for."""
        now = self._clock()
        if self._due_at is not None and now >= self._due_at:
            self._due_at = None
            if self._upkeep.promote():
                self.find_more()
            self._next_look = now  # for what is due next
        if now >= self._next_look:
            self._look()

    @property
    def is_held_by_head(self) -> bool:
        """Whether `look` will read the head of the queue, and that takes long."""
        is_due = not self.has_more and self._clock() >= self._next_look
        return is_due and self._position.is_dear and self._position.behind() == HEAD

    def pause(self) -> float:
        """Seconds until `look` has something to do."""
        moments = [self._next_look, *([] if self._due_at is None else [self._due_at])]
        return max(0.0, min(moments) - self._clock())

    def _look(self) -> None:
        if not self.has_more:
            self._listen(self.is_told)  # before the look: what is added after it is told
        after = None if self.has_more else self._position.behind()
        began = self._clock()
        look = self.served.look(after)
        is_left = look.is_ready and not self.has_more  # though the last search found too little
        if is_left and self._store.leaves_out_paused and self.served.read():
            look = self.served.look(after)
        if after == HEAD:
            self._position.note_reading(self._clock() - began)
        released = self._upkeep.release_held() if look.is_held_up else 0
        if look.is_held_up:
            self._admit()
        if look.is_ready and not self.has_more:
            self.find_more()
            if after == HEAD:
                self._position.go_to_head()
        now = self._clock()
        # A moment later, as the database's clock may be read more coarsely than it is written.
        due = 0.0 if released else look.seconds_until_due
        self._due_at = None if due is None else now + max(0.0, due) + 0.001
        if self.has_more:
            self._listen(False)
            self._next_look = now + max(BUSY, min(SHARE * (now - began), SELDOM))
        else:
            self._next_look = now + self._interval
            longest = self._poll_interval * (TOLD if self.is_told else 1)
            self._interval = min(longest, 2 * self._interval)
            if (owed := self._position.owed_in()) is not None:
                self._next_look = min(self._next_look, now + owed)

    def _admit(self) -> None:
        admitted, seconds = self._upkeep.admit()
        if admitted:
            self.find_more()
        if seconds is not None:
            self._interval = min(self._interval, max(seconds, 0.001))
