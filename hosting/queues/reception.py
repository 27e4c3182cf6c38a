"""What comes to a worker without a claim of its own: jobs that are delivered to it, and strays.

A stray is claimed for this process, which knows nothing of it: the answer to the claim was lost, or
it was delivered while nobody listened. As the process lives, nobody else would ever take it over;
so it is looked for whenever that may have happened, and given back.
"""

from __future__ import annotations

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
        self._is_closed = False
        self._inbox: Inbox | None = None
        self._may_have_strays = False

    def open(self, inbox: Inbox) -> None:
        """Have it used for this worker whenever it rests."""
        self._inbox = inbox

    def take(self, claim: Claim) -> None:
        """Begin a job that was claimed for this worker as it rested; on any thread."""
        if not self._presence.takes(claim.id):
            return  # it was given back before it came
        if self._takes_more and self._workshop.has_room:
            self._workshop.begin([claim])  # which wakes the worker when it has ended
        else:
            self._workshop.refuse(claim)
            self._wake()

    def follow(self, *, has_more: bool) -> None:
        """Be open if a job would have the worker to itself; `has_more`: it may find one itself."""
        if self._inbox is not None:
            is_busy = has_more or len(self._workshop) > 0 or not self._presence.is_sure
            self._inbox.want(self._takes_more and not is_busy)

    def close(self) -> None:
        """Take nothing any more."""
        self._is_closed = True
        if self._inbox is not None:
            self._inbox.want(False)

    def doubt(self) -> None:
        """Have strays looked for, as the answer to a claim may have been lost."""
        self._may_have_strays = True

    def give_strays_back(self) -> None:
        """Give strays back, if there may be any; raises what the database raises."""
        if self._inbox is not None:
            self._may_have_strays |= self._inbox.has_missed()
        if not self._may_have_strays:
            return
        strays = self._presence.strays(self._store.held_by(self._presence.name))
        if strays is None:
            return  # another worker of this process claims; so it is tried again
        if strays:
            self._store.release(strays, begun=False)
            wake_all(self._store)
        self._may_have_strays = False

    def pause(self) -> float | None:
        """Seconds until it is to be tried again; None if nothing is to be done."""
        return AGAIN if self._may_have_strays else None

    @property
    def _takes_more(self) -> bool:
        return not self._is_closed and not self._order.claims_no_more.is_cancelled
