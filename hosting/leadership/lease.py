"""A lease that this process holds."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from typing import Any

from hosting.alarm import alarm
from hosting.cancellation import CancellationToken
from hosting.clock import elapsed
from hosting.leadership.table import LeaseTable
from hosting.services.lease import Lease

logger = logging.getLogger(__name__)

LATE = "it could not be renewed in time"


class HeldLease(Lease):
    """Held until its time is over without renewal, or another has it, or it is given back.

    What has ended so does not begin again: a lease that is got anew is another one, with a token of
    its own.
    """

    def __init__(self, table: LeaseTable, name: str, token: int, until: float) -> None:
        self.name = name
        self.token = token
        self.lost = CancellationToken()
        self._table = table
        self._hold(until)

    @property
    def is_held(self) -> bool:
        return not self.lost.is_cancelled and elapsed() < self._until

    def extend(self, until: float) -> None:
        """Hold it until then, in seconds of `elapsed`, unless its time is over already."""
        if self.is_held:
            self._hold(until)
        else:
            self.lose(LATE)

    def lose(self, reason: str) -> None:
        """Note that it is not held any more."""
        if not self.lost.is_cancelled:
            logger.warning(
                "Service %r has lost its lease (token %d): %s",
                self.name,
                self.token,
                reason,
                extra={"service": self.name, "token": self.token},
            )
            self.lost.cancel()

    def fenced(self) -> AbstractContextManager[Any]:
        return self._table.fenced(self.name, self.token)

    def _hold(self, until: float) -> None:
        self._until = until
        alarm.ring_at(
            time.monotonic() + (until - elapsed()),
            lambda: self._end_at(until),
            lambda: self._until != until or self.lost.is_cancelled,
        )

    def _end_at(self, until: float) -> None:
        if self._until == until:
            self.lose(LATE)
