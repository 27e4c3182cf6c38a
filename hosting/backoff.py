"""How long to wait before trying again, and how often is too often."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with equal jitter: between half and the whole of `initial * factor ** n`.

    Half of the delay is random, so that many processes that failed together do not return together
    (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """

    initial: float = 0.25
    factor: float = 2.0
    maximum: float = 30.0

    def delay(self, failures: int, pick: Callable[[], float] = random.random) -> float:
        """Seconds to wait after the given number of failures in a row (1 or more)."""
        # The exponent is bounded so that a long row of failures cannot overflow a float.
        whole = min(self.maximum, self.initial * self.factor ** min(failures - 1, 64))
        return whole / 2 + pick() * whole / 2


class Intensity:
    """Counts failures, as OTP supervisors do: more than `limit` in `period` seconds is too many."""

    def __init__(self, limit: int, period: float) -> None:
        self.limit = limit
        self.period = period
        self._moments: deque[float] = deque()

    def record(self, now: float) -> int:
        """Note a failure at `now` (seconds); returns how many failures the period holds."""
        self._moments.append(now)
        while self._moments[0] <= now - self.period:
            self._moments.popleft()
        return len(self._moments)

    def allows(self, failures: int) -> bool:
        """Whether a service with that many failures in the period may be restarted."""
        return failures <= self.limit
