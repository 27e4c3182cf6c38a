"""Which workers of a process sleep, and want to be told of jobs that other processes add.

Others look at one flag, which stands in the row of the process: whether anybody in it wants to be
told. So a worker that is busy must not take it down while another one sleeps.
"""

from __future__ import annotations

import threading

from hosting.queues.stores.base import Store


class Ears:
    """Those of the workers of one process that sleep; may be shared by threads."""

    def __init__(self, store: Store, process: str) -> None:
        self._store = store
        self._process = process
        self._lock = threading.Lock()
        self._asleep: set[object] = set()
        self._noted: bool | None = False  # what stands in the row; None: it may be anything

    def note(self, worker: object, is_asleep: bool) -> None:
        """Note whether this worker sleeps; raises what the database raises."""
        with self._lock:
            if is_asleep:
                self._asleep.add(worker)
            else:
                self._asleep.discard(worker)
            if (is_listening := bool(self._asleep)) != self._noted:
                self._noted = None
                self._store.note_listening(self._process, is_listening)
                self._noted = is_listening

    def leave(self, worker: object) -> None:
        """Forget a worker that has ended; the row follows with the next note."""
        with self._lock:
            self._asleep.discard(worker)

    def doubt(self) -> None:
        """Have the row written by the next note, as it may have been made anew."""
        with self._lock:
            self._noted = None
