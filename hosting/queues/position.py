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

Where somebody keeps the database from vacuuming (a dump, a forgotten transaction), reading the head
can take seconds. While it takes more than `DEAR`, it is no longer read for every wake-up: what is
added now lies behind the place, and is found there; what lies before it, or in a queue without a
place, is found when the head is read next. That is `REST` times what the last reading took later,
or `SHARE` times while every search finds as much as was wanted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from hosting.queues.stores.values import HEAD, Claim, Key

#: Seconds between two searches from the head.
INTERVAL = 0.1

#: How many times longer than the last search from the head it takes until the next.
SHARE = 20

#: Seconds that reading the head takes when it is not to be read for every reason.
DEAR = 0.02

#: How many times longer than the last reading of a dear head it is left alone, whatever happens.
REST = 4

#: The most that both come to (seconds): it may have been another reason why a reading took long.
SELDOM, LONGEST_REST = 60.0, 10.0


class Position:
    """The place of one worker in its queues; for one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._after: dict[str, Key] = {}
        self._from_head = True  # the search that goes on
        self._wants_head = True
        self._is_owed = False  # a reading of the head, to know that nothing is left
        self._began = 0.0
        self._cost = 0.0  # seconds that the last reading of the head took
        self._next_head = 0.0
        self._rested = 0.0  # when the head may be read again, if it is dear

    @property
    def is_dear(self) -> bool:
        """Whether reading the head takes so long that other things should come first."""
        return self._cost > DEAR

    @property
    def is_at_head(self) -> bool:
        """Whether the next search begins at the head of every queue."""
        return not self._after or self._wants_head or self._clock() >= self._next_head

    def behind(self) -> Mapping[str, Key]:
        """Where a look at what is ready is to begin: at the head, unless it is dear and rests."""
        return dict(self._after) if self._rests else HEAD

    def owed_in(self) -> float | None:
        """Seconds until the head is to be read, as nothing else shows that nothing is left."""
        return max(0.0, self._rested - self._clock()) if self._is_owed else None

    def begin(self) -> Mapping[str, Key]:
        """Begin a search: the key of the last claim by queue, nothing for those at their head."""
        self._from_head = self.is_at_head
        self._began = self._clock()
        return HEAD if self._from_head else dict(self._after)

    def end(self, claims: Sequence[Claim], limit: int) -> bool:
        """Note what the search gave; whether nothing is left, as far as it can be known now."""
        is_full = len(claims) >= limit
        found = {claim.queue_name: claim.key for claim in claims}  # the last one of each queue
        if not self._from_head:
            self._after.update(found)
            self._wants_head = not is_full and not self._rests
            self._is_owed |= not is_full and self._rests
            return not is_full and not self._wants_head
        self.note_reading(self._clock() - self._began)
        if is_full:
            self._after.update(found)
            self._wants_head = False
            return False
        # Nothing is left before the furthest place known.
        for name, key in found.items():
            self._after[name] = max(key, self._after.get(name, key))
        self._wants_head = not self.is_dear
        return True

    def note_reading(self, seconds: float) -> None:
        """Note how long the head took to read."""
        now = self._clock()
        self._cost, self._is_owed = seconds, False
        self._next_head = now + max(INTERVAL, min(SHARE * seconds, SELDOM))
        self._rested = now + min(REST * seconds, LONGEST_REST)

    def rewind(self) -> None:
        """Have the head searched again, at once unless it is dear."""
        self._wants_head |= not self.is_dear

    def go_to_head(self) -> None:
        """Have the next search begin at the head, as something is there."""
        self._wants_head = True

    @property
    def _rests(self) -> bool:
        return self.is_dear and self._clock() < self._rested
