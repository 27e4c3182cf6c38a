"""Keeps what this process has claimed its own: says that it lives, and knows until when.

A row says until when the jobs of this process are its own, by the database's clock; a thread of its
own renews it on a connection of its own, so that neither a job that holds the interpreter nor a
statement that hangs elsewhere makes others think the process is dead. The process counts from
before it asked, so its own time is over first: it begins no job that others may take over already.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from django.db import Error, connections

from hosting import forks
from hosting.cancellation import CancellationToken
from hosting.clock import elapsed
from hosting.ids import process_name
from hosting.queues.ears import Ears
from hosting.queues.stores.base import Store
from hosting.queues.stores.values import Claim
from hosting.scope import Scope
from hosting.threads import ServiceThread

logger = logging.getLogger(__name__)

#: How often the row is renewed in the time for which one renewal is good.
RENEWALS = 6

#: The share of that time that is left unused, as clocks may differ in rate.
MARGIN = 0.1

#: Of how many disowned claims it is remembered that they are: what tells of one comes in moments.
DISOWNED = 1_000


class Presence:
    """This process in the eyes of one database, shared by its workers there."""

    def __init__(self, store: Store, dead_after: float, earlier: Presence | None = None) -> None:
        self.name = process_name()
        self.dead_after = dead_after
        #: The fences of what the workers of this process hold.
        self.held: dict[UUID, int] = {}
        #: Whether this process may have claims that it knows nothing of.
        self.may_have_strays = False
        self._lock = threading.Lock()
        self._claiming = 0  # workers that may have claims of which `held` says nothing yet
        self._disowned: deque[tuple[UUID, int]] = deque(maxlen=DISOWNED)
        #: Called, on any thread, when it has become sure, or there may be strays.
        self.callbacks: list[Callable[[], object]] = []
        self.ears = Ears(store, self.name)
        self._store = store
        self._upkeep = store.upkeep
        self._until = 0.0
        self._earlier = earlier  # that of workers which have ended
        self._has_ended = CancellationToken()
        self._closing = CancellationToken()
        self._is_lost = False

    @property
    def is_sure(self) -> bool:
        """Whether no other process may take over what this one holds."""
        return elapsed() < self._until

    @contextmanager
    def claiming(self) -> Iterator[None]:
        """Around claiming jobs until `held` says so."""
        with self._lock:
            self._claiming += 1
        try:
            yield
        finally:
            with self._lock:
                self._claiming -= 1

    def holds(self, claims: Iterable[Claim]) -> None:
        """Note that these claims are held."""
        self.held.update((claim.id, claim.fence) for claim in claims)

    def lets_go(self, claim: Claim) -> None:
        """Note that a claim is held no more; there may be a later one of the same job."""
        with self._lock:
            if self.held.get(claim.id) == claim.fence:
                del self.held[claim.id]

    def takes(self, claim: Claim) -> bool:
        """Hold a claim that somebody else has made for this process; False if it is disowned."""
        with self._lock:
            if (claim.id, claim.fence) in self._disowned:
                return False
            self.held[claim.id] = claim.fence
            return True

    def doubt(self) -> None:
        """Have the workers of this process look for strays."""
        self.may_have_strays = True
        self._call_workers()

    def strays(self, claims: Sequence[Claim]) -> Sequence[Claim] | None:
        """Of claims that the database has just given as this process's, those it knows nothing of.

        They are disowned: if what would tell of them comes late, it is not taken any more. None if
        a worker is claiming, which makes it impossible to tell; then it is to be asked again.
        """
        with self._lock:
            if self._claiming:
                return None
            strays = [claim for claim in claims if self.held.get(claim.id) != claim.fence]
            self._disowned.extend((claim.id, claim.fence) for claim in strays)
            return strays

    def begin(self) -> None:
        """Renew from now on."""
        self._thread = ServiceThread(f"hosting:presence:{self._store.alias}", self._run)

    def end(self) -> None:
        """Say that the process claims nothing any more; waits a moment for it to be said."""
        self._closing.cancel()
        self._thread.part()

    def _run(self) -> None:
        pause = self.dead_after / RENEWALS
        self._await_earlier(pause)
        while not self._closing.is_cancelled:
            self._closing.wait(pause if self._try(self._renew) else min(1.0, pause))
        self._try(lambda: self._upkeep.retire(self.name))
        self._has_ended.cancel()

    def _await_earlier(self, seconds: float) -> None:
        """Wait until the same row does not get the last word of an earlier presence any more."""
        if self._earlier is not None and self._earlier.name == self.name:
            self._earlier._has_ended.wait(seconds)
        self._earlier = None

    def _try(self, action: Callable[[], None]) -> bool:
        try:
            with Scope(), self._store.deadline(self.dead_after / RENEWALS):
                action()
        except Error as error:
            connections[self._store.alias].close()
            self._note_loss(error)
            return False
        return True

    def _renew(self) -> None:
        asked, was_sure = elapsed(), self.is_sure
        self._upkeep.renew(self.name, self.dead_after)
        self._until = asked + self.dead_after * (1 - MARGIN)
        if self._is_lost:
            logger.warning(
                "This process can renew its claims in the database %r again",
                self._store.alias,
                extra={"worker": self.name},
            )
            self._is_lost = False
        if not was_sure:
            self.ears.doubt()  # the row may have been deleted, as that of a dead process
            self._call_workers()

    def _call_workers(self) -> None:
        for callback in list(self.callbacks):
            callback()

    def _note_loss(self, error: Error) -> None:
        if not self._is_lost:
            left = self._until - elapsed()
            logger.warning(
                "This process cannot renew its claims in the database %r (%s); until it can, it "
                "begins no job%s",
                self._store.alias,
                str(error).strip(),
                f" from {left:.0f} s on" if left > 0 else "",
                extra={"worker": self.name},
            )
        self._is_lost = True


_lock = forks.lock()
_present: dict[str, tuple[Presence, int]] = {}
_ended: dict[str, Presence] = {}


@contextmanager
def present(store: Store, dead_after: float, callback: Callable[[], object]) -> Iterator[Presence]:
    """Keep this process's claims in a database for as long as one of its workers is in here."""
    with _lock:
        presence, workers = _present.get(store.alias, (None, 0))
        if presence is None or presence.name != process_name():  # another process, before a fork
            presence, workers = Presence(store, dead_after, _ended.pop(store.alias, None)), 0
            presence.begin()
        presence.callbacks.append(callback)
        _present[store.alias] = (presence, workers + 1)
    try:
        yield presence
    finally:
        with _lock:
            presence.callbacks.remove(callback)
            _, workers = _present[store.alias]
            _present[store.alias] = (presence, workers - 1)
            if workers == 1:
                del _present[store.alias]
                _ended[store.alias] = presence
                presence.end()
