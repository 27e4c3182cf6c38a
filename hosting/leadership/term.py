"""One life of a singleton, under one lease."""

from __future__ import annotations

from collections.abc import Callable

from hosting.cancellation import CancellationToken
from hosting.conf import HostingSettings
from hosting.deadlines import GRACE
from hosting.leadership.lease import HeldLease
from hosting.lifetime import HostLifetime
from hosting.loop import EventLoopThread
from hosting.services import HostedService, ServiceState
from hosting.starting import Start
from hosting.stopping import Stop
from hosting.supervision import Policy, SupervisedService

#: Told the old and the new state of the term, and the error that has caused it.
Follow = Callable[[ServiceState, ServiceState, BaseException | None], None]


class Term(SupervisedService):
    """A service for as long as a lease is held."""

    lease: HeldLease

    def __init__(
        self, service: HostedService, name: str, policy: Policy, lease: HeldLease, follow: Follow
    ) -> None:
        super().__init__(service, name, policy, lease)
        self.failed = CancellationToken()
        self._follow = follow

    def run(
        self,
        lifetime: HostLifetime,
        loop: EventLoopThread,
        stopping: CancellationToken,
        settings: HostingSettings,
    ) -> None:
        """Start, and go on until `stopping` is cancelled, the lease is lost, or it fails for good.

        Raises `ServiceStartError` if it does not start, and `OperationCancelled` if it is to end
        before it has. What has begun is for the caller to end.
        """
        with self.lease.lost.register(self.stopping.cancel):
            self.attach(lifetime, loop, lambda _: self.failed.cancel())
            is_moot = CancellationToken(stopping, self.lease.lost)
            Start(settings.startup_timeout, False, is_moot).run([self])
            self.begin_execution()
            CancellationToken(is_moot, self.failed).wait()

    def end(self, seconds: float) -> list[Exception]:
        """Stop what has started within so many seconds, and close it; gives what went wrong."""
        started = [self] if self.has_started else []
        return Stop(seconds, False).run(started, [self])

    def goes_on(self) -> bool:
        """Whether something of it goes on, though it was told to end and given up."""
        return self.is_left_behind(GRACE)

    def announce(self, old: ServiceState, new: ServiceState, error: BaseException | None) -> None:
        self._follow(old, new, error)
