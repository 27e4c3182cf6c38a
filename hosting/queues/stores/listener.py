"""LISTEN on PostgreSQL: a connection of its own, on a thread of its own.

It also takes what is delivered to the inbox of its worker, which begins without a claim.
Notifications make workers quick, and nothing more: one may be lost with its connection, or be sent
in the moment before a worker sleeps. Workers look by themselves from time to time.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import Error, InterfaceError, connections
from psycopg import Notify

from hosting.backoff import Backoff
from hosting.bell import Bell
from hosting.context import log_fields
from hosting.queues.stores.deadline import connecting_within, deadline, shut_socket
from hosting.queues.stores.inbox import Inbox
from hosting.queues.stores.listening import Listening
from hosting.queues.stores.values import Claim
from hosting.threads import FAREWELL

logger = logging.getLogger(__name__)

CHANNEL = "hosting_job"

#: Seconds without a notification after which the connection is tried.
SILENCE = 30.0

#: Seconds that it may take to answer.
PATIENCE = 10.0

#: Seconds until an inbox that could not be opened is tried again, at first and at most.
AGAIN, LONGEST = 0.05, 5.0

#: Seconds that a worker has to rest until its inbox is opened.
REST = 0.02

#: Seconds for which a job that has come is left alone with the interpreter.
ASIDE = 0.001

BACKOFF = Backoff(initial=0.5, maximum=30.0)


class Listener(Listening):
    """Calls `ring` for every notification, and whenever some may have been missed.

    What is sent to the inbox is read by `read`. It is open while this session holds its lock, so it
    is opened and closed on this thread, which alone uses the session.
    """

    def __init__(
        self,
        alias: str,
        ring: Callable[[], bool],
        inbox: Inbox | None = None,
        read: Callable[[str], Claim] | None = None,
    ) -> None:
        super().__init__(alias, ring)
        self._inbox = inbox
        self._read = read
        self._is_open = False
        self._opens_at: float | None = None  # of the monotonic clock
        self._again = AGAIN
        self._is_proven = False  # that what is sent to the inbox arrives
        self._is_lent = False  # the session is others' in between
        self._bell = Bell()
        self._wrapper: Any = None
        self._encoding = "utf-8"
        self._failures = 0  # in a row

    def _interrupt(self) -> None:
        self._bell.ring()

    def _run(self) -> None:
        if self._inbox is not None:
            self._inbox.changed = self._bell.ring
        with self._bell:
            self._listen_again_and_again()

    def _listen_again_and_again(self) -> None:
        while not self._closing.is_cancelled:
            try:
                self._listen()
            except Exception as error:
                self._failures += 1
                self._note_gap()  # though nobody listens yet, it may be known by other ways
                if self._failures == 1 and not self._closing.is_cancelled:
                    logger.warning(
                        "Notifications of %r are interrupted: %s",
                        self._alias,
                        error,
                        extra=log_fields(),
                    )
                self._closing.wait(BACKOFF.delay(self._failures))

    def _listen(self) -> None:
        self._is_open, self._opens_at, self._is_proven = False, None, False
        self._wrapper = _apart(self._alias)
        try:
            self._execute(f"LISTEN {CHANNEL}")
            self._encoding = self._wrapper.connection.info.encoding
            # What comes with the answer to a statement.
            self._wrapper.connection.add_notify_handler(self._note)
            if self._inbox is not None:
                self._execute(f"LISTEN {self._inbox.channel}")
                self._send_to(self._inbox)
            self._failures = 0
            self._note_gap()
            with selectors.DefaultSelector() as selector:
                selector.register(self._wrapper.connection.pgconn.socket, selectors.EVENT_READ)
                selector.register(self._bell, selectors.EVENT_READ)
                while not self._closing.is_cancelled:
                    self._wait(selector, self._see_to_inbox())
            self._leave_inbox()
        finally:
            self._wrapper.close()

    def _wait(self, selector: selectors.BaseSelector, pause: float | None) -> None:
        """Wait until something is there to be heard, so long at most (None: for a long time)."""
        ready = [key.fileobj for key, _ in selector.select(SILENCE if pause is None else pause)]
        if ready and ready != [self._bell]:
            self._hear()
        if self._bell in ready:
            self._bell.hush()
        elif not ready and pause is None:
            self._execute("SELECT 1")

    def _hear(self) -> None:
        """Take what the server has sent.

        Not by psycopg's `notifies`, which looks ten times a second whether it was interrupted.
        """
        pgconn, is_told = self._wrapper.connection.pgconn, False
        pgconn.consume_input()
        while sent := pgconn.notifies():
            if not self._is_for_inbox(sent.relname.decode()):
                is_told = True
            else:
                self._take(sent.extra.decode(self._encoding))
        if is_told:
            self._ring()

    def _note(self, sent: Notify) -> None:
        if self._is_for_inbox(sent.channel):
            self._take(sent.payload)
        else:
            self._ring()

    # The inbox

    def _is_for_inbox(self, channel: str) -> bool:
        return self._inbox is not None and channel == self._inbox.channel

    def _take(self, text: str) -> None:
        """Have a job begun that was claimed for this worker, which rests no more then."""
        if self._inbox is None or self._read is None:
            return
        if not text:
            self._is_proven = True
            return
        try:
            claim = self._read(text)
        except Exception as error:
            logger.warning(
                "Something was delivered that is no job: %s: %s",
                type(error).__name__,
                error,
                extra=log_fields(),
            )
            self._note_gap()
            return
        self._inbox.take(claim)
        self._inbox.want(False)

    def _see_to_inbox(self) -> float | None:
        """Open or close the inbox as is wanted; seconds until there is more to do, None: nothing.

        It is opened once it has been wanted for a while: a worker that rests for moments only would
        open and close it for nothing, as jobs are delivered after a lull.
        """
        if self._inbox is None or self._inbox.is_wanted == self._is_open or not self._is_proven:
            self._opens_at, self._again = None, AGAIN
            return None
        if self._is_open:
            # Not at once: the job that has just come needs the interpreter to begin.
            self._closing.wait(ASIDE)
            self._close(self._inbox)
            return 0.0
        now = time.monotonic()
        if self._opens_at is None:
            self._opens_at = now + REST
        if now < self._opens_at:
            return self._opens_at - now
        # Who enqueues may hold it for a moment, to see whether it is open.
        self._is_open = self._ask(f"SELECT pg_try_advisory_lock({self._inbox.key})")
        if self._is_open:
            return 0.0
        self._again = min(2 * self._again, LONGEST)
        return self._again

    def _close(self, inbox: Inbox) -> None:
        self._is_open = False
        if not self._ask(f"SELECT pg_advisory_unlock({inbox.key})"):
            self._is_lent = True
            raise InterfaceError(
                "The session has lost its lock, so it is lent to others in between, as by a pooler "
                "of transactions; with these, set LISTEN to False."
            )

    def _leave_inbox(self) -> None:
        """Close it, and wait until those have committed who have found it open."""
        if self._inbox is not None and self._is_open:
            self._close(self._inbox)
            self._execute(f"SELECT pg_advisory_lock({self._inbox.gate})", FAREWELL)

    def _send_to(self, inbox: Inbox) -> None:
        """Send nothing to the inbox by another session: what arrives proves that more would.

        A pooler of transactions may pass on LISTEN, and what is sent to the session to nobody.
        """
        if self._is_lent:
            return
        other = connections[self._alias]
        try:
            with (
                suppress(Error),  # without a proof it stays closed
                deadline(other, PATIENCE, shut_socket),
                connecting_within(other, PATIENCE),
                other.cursor() as cursor,
            ):
                cursor.execute("SELECT pg_notify(%s, '')", [inbox.channel])
        finally:
            other.close()

    def _note_gap(self) -> None:
        """Have looked for what may have been sent while nobody listened."""
        if self._inbox is not None:
            self._inbox.note_gap()
        self._ring()

    def _ask(self, statement: str) -> bool:
        return bool(self._execute(statement)[0])

    def _execute(self, statement: str, seconds: float = PATIENCE) -> Any:
        """Have a statement executed within so many seconds; its row, if there is one."""
        with (
            deadline(self._wrapper, seconds, shut_socket),
            connecting_within(self._wrapper, seconds),
            self._wrapper.cursor() as cursor,
        ):
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None


def _apart(alias: str) -> Any:
    """A connection that no pool lends: who listens would never give it back."""
    wrapper: Any = connections[alias].copy()
    options = {**wrapper.settings_dict["OPTIONS"]}
    options.pop("pool", None)
    wrapper.settings_dict = {**wrapper.settings_dict, "OPTIONS": options}
    return wrapper
