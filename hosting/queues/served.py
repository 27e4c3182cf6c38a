"""Which queues a worker claims from now: those that it is for, without those that are paused.

What is paused is read before a worker claims, once a second at most; a worker that rests reads
nothing. Where the claim leaves out by itself what is paused, it is read only when a job is there
that no claim gave, so that the first job after a rest does not wait for that. While something is
paused, a worker of all queues asks which there are, as it can only say what it wants.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from hosting.queues.stores.base import Store
from hosting.queues.stores.values import Key, Look

#: Seconds for which is believed what was read.
FRESH = 1.0


class Served:
    """The queues of one worker; for one thread."""

    def __init__(
        self,
        store: Store,
        backend: str,
        queues: Collection[str] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._backend = backend
        self._queues = queues
        self._clock = clock
        self._paused: frozenset[str] = frozenset()
        self._next = clock()

    def refresh(self, *, claims: bool = True) -> bool:
        """Read what is paused, unless that was just done; True if it is not what it was.

        A worker that is about to claim nothing need not know, unless it leaves out a queue.
        """
        reads = claims and not self._store.leaves_out_paused
        if self._clock() < self._next or not (reads or self._paused):
            return False
        return self.read()

    def doubt(self) -> None:
        """Have what is paused read again before the next claim, as it may have been resumed."""
        if self._paused:
            self._next = self._clock()

    def read(self) -> bool:
        """Read what is paused; True if it is not what it was."""
        self._next = self._clock() + FRESH
        before, self._paused = self._paused, self._store.control.paused_queues(self._backend)
        return self._paused != before

    def names(self) -> Collection[str] | None:
        """The queues to claim from; None: all."""
        if not self._paused:
            return self._queues
        there = self._store.queue_names(self._backend) if self._queues is None else self._queues
        return [name for name in there if name not in self._paused]

    def look(self, after: Mapping[str, Key] | None) -> Look:
        """What there is, as `Store.look`; what is ready in a queue that is paused is not."""
        if not self._paused:
            return self._store.look(self._backend, self._queues, after)
        # What waits for its time goes on in every queue.
        found = self._store.look(self._backend, self._queues, None)
        return found if after is None else replace(found, is_ready=self._is_ready(after))

    def _is_ready(self, after: Mapping[str, Key]) -> bool:
        if not (names := self.names()):
            return False
        places = {name: key for name, key in after.items() if name in names}
        return self._store.look(self._backend, names, places).is_ready
