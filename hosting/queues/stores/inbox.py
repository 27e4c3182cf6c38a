"""The inbox of a worker: where it takes a job that was claimed for it as it was enqueued.

A worker that rests, told that there is a job, would have to claim it before it may begin, which is
a second round trip to the database. So it leaves word how to reach it; whoever enqueues a single
job may write the row as claimed by such a worker, and sends it what it needs to begin.

It does not change what a claim is: the row says who holds the job, the fence is that of this claim
alone, and others take the job over if the process dies. A job that does not reach the worker is
given back once the worker finds it among what it holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from typing import Any

from hosting.queues.stores.values import Claim


class Inbox:
    """That of one worker, for these queues of a backend (None: all); may be shared by threads.

    `take` is called with what comes, on any thread. `lease` is for how many seconds a process is
    believed to live once it has said so.

    What is sent stands for a row that only those may write who are allowed to, and holds a job's
    arguments; but anybody who can connect may listen to any channel, and send to it. So the name of
    this one is a secret, which stands in a table.
    """

    def __init__(
        self,
        backend: str,
        queues: Collection[str] | None,
        lease: float,
        take: Callable[[Claim], object],
    ) -> None:
        self.take = take
        #: Of the lock that is held while the inbox is open.
        self.key = secrets.randbits(63)
        #: Of the lock that everybody shares who looks whether it is open, until he has committed.
        self.gate = secrets.randbits(63)
        self.channel = f"hosting_{secrets.token_hex(16)}"
        #: Called, on any thread, when `is_wanted` has changed.
        self.changed: Callable[[], object] = _nothing
        self._backend = backend
        self._queues = queues
        self._lease = lease
        self._is_wanted = self._has_missed = False

    @property
    def address(self) -> dict[str, Any]:
        """What those need who would send something: values of JSON."""
        return {
            "key": self.key,
            "gate": self.gate,
            "channel": self.channel,
            "backend": self._backend,
            "queues": None if self._queues is None else sorted(self._queues),
            "lease": self._lease,
        }

    def note_gap(self) -> None:
        """Note that something may have been sent while nobody listened."""
        self._has_missed = True

    def has_missed(self) -> bool:
        """Whether there was a gap since this was last asked."""
        has_missed, self._has_missed = self._has_missed, False
        return has_missed

    @property
    def is_wanted(self) -> bool:
        """Whether the worker wants it to be open."""
        return self._is_wanted

    def want(self, is_wanted: bool) -> None:
        """Have the inbox opened or closed, soon."""
        if is_wanted != self._is_wanted:
            self._is_wanted = is_wanted
            self.changed()


def _nothing() -> None:
    pass
