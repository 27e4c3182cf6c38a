"""How the time is shared out within which another process takes over."""

from __future__ import annotations

import random
from dataclasses import dataclass

#: Parts of LEASE_TIMEOUT: for which a row is good; for which its holder counts on it; between two
#: renewals, of which two may fail; between two looks at leases that others hold, at most.
DURATION_SHARE = 0.6
HELD_SHARE = 0.45
RENEWAL_SHARE = 0.15
LOOK_SHARE = 0.3

#: Seconds between two looks of a process that stands by with few others, so that a lease that was
#: given back is taken within a second.
LOOK = 0.75

#: How many looks in a second all processes that stand by take together, if they are more than few.
LOOKS = 8

#: The share of that pause that is left to chance, so that looks spread out.
CHANCE = 0.3


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of leases in seconds."""

    timeout: float

    @property
    def duration(self) -> float:
        """For how long a renewal is good."""
        return self.timeout * DURATION_SHARE

    @property
    def held(self) -> float:
        """For how long its holder counts on it, from before it asked."""
        return self.timeout * HELD_SHARE

    @property
    def renewal(self) -> float:
        """From one renewal to the next."""
        return self.timeout * RENEWAL_SHARE

    def look(self, standing_by: int) -> float:
        """From one look to the next, if so many processes stand by."""
        pause = min(max(LOOK, standing_by / LOOKS), self.timeout * LOOK_SHARE)
        return pause * (1 - CHANCE * random.random())
