"""The milestones of a host, and the way to ask it to stop."""

from __future__ import annotations

from hosting.cancellation import CancellationToken


class HostLifetime:
    """Three milestones, each a token that is cancelled when it is reached (as in .NET's
    `IHostApplicationLifetime`): `register` a callback, `wait`, or look at `is_cancelled`.
    """

    def __init__(self) -> None:
        self.started = CancellationToken()
        self.stopping = CancellationToken()
        self.stopped = CancellationToken()
        self.stop_requested = CancellationToken()
        self.failure: str | None = None
        self.recycling: str | None = None
        self.ends_on_failure = True

    def stop(self) -> None:
        """Ask the host to stop, from anywhere; returns at once, and again does nothing."""
        self.stop_requested.cancel()

    def escalate(self, reason: str) -> None:
        """Tell of a failure that this process does not get over.

        A worker stops because of it, and its exit code shows it; a web process goes on serving.
        """
        if self.failure is None:
            self.failure = reason
        if self.ends_on_failure:
            self.stop()

    def recycle(self, reason: str) -> None:
        """Tell why another process should take the place of this one, which has not failed.

        A worker stops because of it, and its exit code asks for the other; a web process goes on
        serving. Changes nothing once the host was asked to stop.
        """
        if self.recycling is None and not self.stop_requested.is_cancelled:
            self.recycling = reason
        if self.ends_on_failure:
            self.stop()
