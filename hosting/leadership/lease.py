"""A lease that this process holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error

from hosting.alarm import alarm
from hosting.cancellation import CancellationToken
from hosting.clock import elapsed
from hosting.exceptions import LeaseLost
from hosting.leadership.table import LeaseTable
from hosting.services.lease import Lease

logger = logging.getLogger(__name__)

LATE = "it could not be renewed in time"
TAKEN = "another process has it"


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

    @contextmanager
    def fenced(self) -> Iterator[None]:
        if self.lost.is_cancelled:
            raise LeaseLost(self.name)
        # Who is cut off waits for the database as long as it has the lease, and then ends.
        left = max(0.0, self._until - elapsed())
        try:
            with self._table.hung_up_at(self.lost, left), self._table.fenced(self.name, self.token):
                yield
        except LeaseLost:
            self.lose(TAKEN)
            raise
        except Error as error:
            # It was hung up, by us or by the database, because of that.
            if not self.is_held:
                raise LeaseLost(self.name) from error
            raise

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
