"""What comes to a worker without a claim of its own: jobs that are delivered to it, and strays.

A stray is claimed for this process, which knows nothing of it: the answer to the claim was lost, or
it was delivered while nobody listened. As the process lives, nobody else would ever take it over;
so it is looked for whenever that may have happened, and now and then, and given back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from hosting.queues.presence import Presence
from hosting.queues.stoporder import StopOrder
from hosting.queues.stores.base import Store
from hosting.queues.stores.inbox import Inbox
from hosting.queues.stores.values import Claim
from hosting.queues.wakeup import wake_all
from hosting.queues.workshop import Workshop

#: Seconds until strays are looked for again, where it could not be told what is one.
AGAIN = 0.05

#: Seconds after which they are looked for without a reason: there may be one not thought of.
CAUTION = 60.0


class Reception:
    """That of one worker; `wake` tells the worker that it has something to do."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        workshop: Workshop,
        order: StopOrder,
        wake: Callable[[], object],
    ) -> None:
        self._store = store
        self._presence = presence
        self._workshop = workshop
        self._order = order
        self._wake = wake
        self._taking = threading.Lock()
        self._is_closed = False
        self._inbox: Inbox | None = None
        self._looks_at = time.monotonic() + CAUTION

    def open(self, inbox: Inbox) -> None:
        """Have it used for this worker whenever it rests."""
        self._inbox = inbox

    def take(self, claim: Claim) -> None:
        """Begin a job that was claimed for this worker as it rested; on any thread.

        What comes after the end is a stray, for who looks for those.
        """
        with self._taking:
            if self._is_closed or not self._presence.takes(claim):
                return
            if self._workshop.has_room and not self._order.claims_no_more.is_cancelled:
                self._workshop.begin([claim])  # which wakes the worker when it has ended
                return
            self._workshop.refuse(claim)
        self._wake()

    def follow(self, *, has_more: bool) -> None:
        """Be open if a job would have the worker to itself; `has_more`: it may find one itself."""
        if self._inbox is not None:
            is_busy = has_more or len(self._workshop) > 0 or not self._presence.is_sure
            self._inbox.want(not is_busy and not self._order.claims_no_more.is_cancelled)

    def close(self) -> None:
        """Take nothing any more."""
        with self._taking:
            self._is_closed = True
        if self._inbox is not None:
            self._inbox.want(False)

    def give_strays_back(self) -> None:
        """Give strays back, if there may be any; raises what the database raises."""
        has_missed = self._inbox is not None and self._inbox.has_missed()
        is_time = has_missed or time.monotonic() >= self._looks_at
        if not is_time and not self._presence.may_have_strays:
            return
        self._looks_at = time.monotonic() + CAUTION
        self._presence.may_have_strays = False  # what comes from now on is another reason
        is_done = False
        try:
            strays = self._presence.strays(self._store.held_by(self._presence.name))
            if strays:
                self._store.release(strays, begun=False)
                wake_all(self._store)
            is_done = strays is not None  # else another worker of this process claims
        finally:
            if not is_done:  # so it is tried again
                self._presence.may_have_strays = True

    def pause(self) -> float | None:
        """Seconds until it is to be tried again; None if nothing is to be done."""
        return AGAIN if self._presence.may_have_strays else None
