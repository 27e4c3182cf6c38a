"""Where the search for the next jobs goes on.

Whoever always searches from the head of the queue reads past the index entries of all that was
claimed before and not yet vacuumed; after a minute of 40,000 jobs a second these are millions. So
the search goes on behind the last claimed job. But what then lies before that place is not seen: a
job of higher priority, one that was given back, a retry, or one whose transaction committed late.
So the search is taken up at the head again, whenever there is a reason to and often enough:

- when something may have been added (a wake-up), or this process put something there itself;
- when a search found less than was wanted, as only the head shows that nothing is left;
- after `INTERVAL`, or `SHARE` times what the last search from the head took, if that is longer.

That is a rule for correctness: every job that is ready is found, at the latest by the search from
the head after the others have come to the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from hosting.queues.stores.values import Claim, Key

#: Seconds between two searches from the head.
INTERVAL = 0.1

#: How many times longer than the last search from the head it takes until the next.
SHARE = 20


class Position:
    """The place of one worker in its queues; for one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._after: dict[str, Key] = {}
        self._began = 0.0
        self._next_head = 0.0

    @property
    def is_at_head(self) -> bool:
        """Whether the next search begins at the head of every queue."""
        return not self._after

    def begin(self) -> dict[str, Key]:
        """Begin a search: the key of the last claim by queue, nothing for those at their head."""
        self._began = self._clock()
        if self._began >= self._next_head:
            self._after = {}
        return dict(self._after)

    def end(self, claims: Sequence[Claim], limit: int) -> bool:
        """Note what the search gave; whether it shows that nothing is left."""
        was_at_head = self.is_at_head
        if was_at_head:
            now = self._clock()
            self._next_head = now + max(INTERVAL, SHARE * (now - self._began))
        if len(claims) < limit:
            self._after = {}
            return was_at_head
        for claim in claims:
            self._after[claim.queue_name] = claim.key
        return False

    def rewind(self) -> None:
        """Have the next search begin at the head."""
        self._after = {}
