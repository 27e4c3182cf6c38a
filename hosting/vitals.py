"""The signs of life of one service: what it says of its health, and whether it goes on.

A beat says by when the next one is due. Nobody waits for it: whoever asks compares the moments, and
an alarm looks once in each period of the watchdog, so that one who is stuck is told of unasked. So
a beat costs no more than noting a moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from hosting.alarm import alarm
from hosting.services import Condition, Health, HostedService
from hosting.signals import service_condition_changed

logger = logging.getLogger(__name__)

Announce = Callable[[Health, Health], object]


class Vitals:
    """What is known of the health of a service that runs.

    `watchdog` is the number of seconds within which a sign of life is due; None: never. `announce`
    is called with the old and the new health, on any thread, when the condition has changed.
    """

    def __init__(
        self,
        watchdog: float | None,
        announce: Announce,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.watchdog = watchdog
        self._announce = announce
        self._clock = clock
        self._telling = threading.Lock()
        self._told = Health()
        self._complaint = ""
        self._last_beat: float | None = None
        self._due: dict[str, float] = {}  # by part, in seconds of the monotonic clock
        self._watch = object()

    @property
    def beat_at(self) -> datetime | None:
        """When the last sign of life was given."""
        return None if self._last_beat is None else datetime.fromtimestamp(self._last_beat, UTC)

    def begin(self) -> None:
        """Expect signs of life from now on, as the service runs."""
        if self.watchdog is not None:
            self._due = {"": self._clock() + self.watchdog}
            self._watch = watch = object()
            self._look_in(self.watchdog, watch)

    def end(self) -> None:
        """Expect none any more, and forget what the service has said."""
        self._due = {}
        self._watch = object()
        self._complaint = ""
        self._told = Health()

    def beat(self, pause: float = 0.0, part: str = "") -> None:
        """Note a sign of life; the next is due within `pause` and the watchdog's seconds.

        A service that does several things at once gives them for each `part`.
        """
        self._last_beat = time.time()
        if self.watchdog is not None and self._due:
            self._due[part] = self._clock() + pause + self.watchdog
            if self._told.condition is Condition.STUCK:
                self._tell()

    def degrade(self, reason: str) -> None:
        """Note that the service does its work badly, or not all of it."""
        self._complaint = reason or "it has given no reason"
        self._tell()

    def recover(self) -> None:
        """Note that it does its work as it should."""
        self._complaint = ""
        self._tell()

    def health(self) -> Health:
        """What can be said now."""
        silence = self._silence()
        if silence is not None:
            reason = f"no sign of life for {silence:.3g} s, allowed: {self.watchdog:g} s"
            return Health(Condition.STUCK, reason)
        if complaint := self._complaint:
            return Health(Condition.DEGRADED, complaint)
        return Health()

    def _silence(self) -> float | None:
        """Seconds since the sign of life was due after which one is overdue, or None."""
        late = self._clock() - min(self._due.copy().values(), default=float("inf"))
        return late + (self.watchdog or 0) if late > 0 else None

    def _tell(self) -> None:
        with self._telling:
            old, self._told = self._told, self.health()
            new = self._told
        if new.condition is not old.condition:
            self._announce(old, new)

    def _look_in(self, seconds: float, watch: object) -> None:
        alarm.ring_at(
            time.monotonic() + seconds, lambda: self._look(watch), lambda: watch is not self._watch
        )

    def _look(self, watch: object) -> None:
        # The next beat may be due sooner than what is known of now, but not within a watchdog.
        longest = self.watchdog or 0.0
        until_due = min(self._due.copy().values(), default=0.0) - self._clock()
        if until_due <= 0:
            self._tell()
        self._look_in(min(until_due, longest) if until_due > 0 else longest, watch)


def publish(service: HostedService, name: str, old: Health, new: Health, here: str) -> None:
    """Log the new condition of a service, and announce it; `here` is its stack."""
    if new.condition is Condition.STUCK:
        words = "Service %r is stuck: %s; it is here:\n%s"
        logger.error(words, name, new.reason, here, extra={"service": name})
    elif new.condition is Condition.DEGRADED:
        logger.warning("Service %r is degraded: %s", name, new.reason, extra={"service": name})
    else:
        logger.warning("Service %r is healthy again", name, extra={"service": name})
    service_condition_changed.send_robust(
        type(service), service=name, old=old.condition, new=new.condition, reason=new.reason
    )
