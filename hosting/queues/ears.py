"""Which workers of a process sleep, and want to be told of jobs that other processes add.

Others look at one flag, which stands in the row of the process: whether anybody in it wants to be
told. So a worker that is busy must not take it down while another one sleeps. Beside it stands
where they take what is delivered to them.
"""

from __future__ import annotations

import threading

from hosting.queues.stores.base import Store
from hosting.queues.stores.inbox import Inbox


class Ears:
    """Those of the workers of one process that sleep; may be shared by threads.

    Only `note` waits for the database, and nothing else waits for `note`.
    """

    def __init__(self, store: Store, process: str) -> None:
        self._store = store
        self._process = process
        self._writing = threading.Lock()
        self._changing = threading.Lock()
        self._asleep: set[object] = set()
        self._inboxes: dict[object, Inbox] = {}
        self._doubts = 0  # how often the row may have been made anew
        self._noted: object = (False, (), 0)  # what stands in the row; None: it may be anything

    def lend(self, worker: object, inbox: Inbox) -> None:
        """Give a worker an inbox, of which others know from the next note on."""
        with self._changing:
            self._inboxes[worker] = inbox

    def note(self, worker: object, is_asleep: bool) -> None:
        """Note whether this worker sleeps; raises what the database raises."""
        with self._writing:
            with self._changing:
                if is_asleep:
                    self._asleep.add(worker)
                else:
                    self._asleep.discard(worker)
                is_listening, inboxes = bool(self._asleep), tuple(self._inboxes.values())
                wanted = is_listening, inboxes, self._doubts
            if wanted != self._noted:
                self._noted = None
                self._store.note_listening(self._process, is_listening, inboxes)
                self._noted = wanted

    def leave(self, worker: object) -> None:
        """Forget a worker that has ended; the row follows with the next note."""
        with self._changing:
            self._asleep.discard(worker)
            self._inboxes.pop(worker, None)

    def doubt(self) -> None:
        """Have the row written by the next note, as it may have been made anew."""
        with self._changing:
            self._doubts += 1
