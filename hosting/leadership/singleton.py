"""A service of which one copy runs in the fleet: here, while this process holds its lease.

To the host it is a service as any other, which has started as soon as it stands by. Its life goes
in terms: each time that this process gets the lease, a new instance of the service goes through the
whole lifecycle, from `starting` to `close`. A term ends when the lease is lost or the host stops;
the lease is given back once it has ended.

A service that does not end in its time would be a second copy. So its lease is not given back but
runs out, and if it was lost, that is a failure for good: a worker stops because of it, which ends
the service by force.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from hosting.cancellation import CancellationToken
from hosting.conf import HostingSettings
from hosting.context import ServiceWork
from hosting.deadlines import GRACE
from hosting.exceptions import HostStateError, OperationCancelled
from hosting.leadership.election import Election
from hosting.leadership.lease import HeldLease
from hosting.leadership.term import Term
from hosting.services import HostedService, ServiceState, ServiceStatus
from hosting.stopping import NOT_CLEAN
from hosting.supervision import Policy, SupervisedService
from hosting.threads import ServiceThread
from hosting.vitals import Vitals

logger = logging.getLogger(__name__)


class SingletonService(SupervisedService):
    """A service in a host that runs while `election` holds the lease of its name.

    `make` gives a new instance for each term; it is called once here, and may raise.
    """

    def __init__(
        self,
        make: Callable[[], HostedService],
        name: str,
        policy: Policy,
        election: Election,
        settings: HostingSettings,
    ) -> None:
        # The time to stop is limited in a term, and here by what the host has left.
        super().__init__(make(), name, replace(policy, stop_timeout=None))
        self._policy_of_terms = policy
        self.vitals = Vitals(None, self._condition_changed)  # signs of life come in a term
        self._make = make
        self._election = election
        self._settings = settings
        self._term: Term | None = None
        self._had_terms = False
        self._stop_deadline: CancellationToken | None = None
        self._told_to_stop = CancellationToken()

    # What the host asks for

    def begin(self, method: str, *args: CancellationToken) -> ServiceThread:
        """Hear of a phase of the host; the phases of a term are its own."""
        if method == "close" and not self._had_terms:
            return super().begin(method, *args)
        return ServiceThread(
            f"hosting:{self.name}:{method}",
            lambda: self._hear(method, *args),
            on=ServiceWork(self.name),
        )

    def begin_execution(self) -> None:
        """Stand by, and run terms on a thread."""
        if not self.move(ServiceState.STANDBY):
            raise HostStateError(f"Service {self.name!r} is {self.state}, it cannot stand by.")
        self._execution = ServiceThread(
            f"hosting:{self.name}:lease", self._run_terms, on=ServiceWork(self.name)
        )

    def status(self, *, with_facts: bool = True) -> ServiceStatus:
        told, term = super().status(with_facts=False), self._term
        if term is None:
            return told
        now = term.status(with_facts=with_facts)
        return replace(
            told,
            ready=now.ready,
            restarts=told.restarts + now.restarts,
            condition=now.condition,
            reason=now.reason,
            beat_at=now.beat_at,
            facts={**now.facts, "lease_token": term.lease.token},
        )

    def _hear(self, method: str, *args: CancellationToken) -> None:
        if method == "stop":
            [self._stop_deadline] = args
            self._told_to_stop.cancel()

    # Terms

    def _run_terms(self) -> None:
        try:
            while (lease := self._election.acquire(self.name, self.stopping)) is not None:
                if self.stopping.is_cancelled:
                    self._election.release(lease)
                    return
                pause = self._run_term(lease)
                if pause is None:
                    return
                self.stopping.wait(pause)
        except Exception as error:
            if self.stopping.is_cancelled:  # whoever stops the service reports it
                raise
            self._give_up(error, failures=1)

    def _run_term(self, lease: HeldLease) -> float | None:
        """Run the service under this lease; seconds until the next term, or None if there is none.

        Raises what went wrong while it stopped, if it was the host that stops.
        """
        logger.info(
            "Service %r has its lease, token %d",
            self.name,
            lease.token,
            extra={"service": self.name, "token": lease.token},
        )
        error: Exception | None = None
        try:
            self._term = term = self._next_term(lease)
        except Exception as failure:
            self._election.release(lease)
            return self._judge_failed_start(failure)
        try:
            term.run(self.lifetime, self._loop, self.stopping, self._settings)
        except OperationCancelled:
            pass
        except Exception as failure:
            error = failure
        errors = term.end(self._time_to_stop())
        self.restarts += term.status().restarts
        self._term = None
        self._part_with_lease(term)
        if self.stopping.is_cancelled and errors:
            raise ExceptionGroup(NOT_CLEAN, errors)
        return self._judge_term(term, error)

    def _next_term(self, lease: HeldLease) -> Term:
        if self._had_terms:
            self.service = self._make()
        self._had_terms = True
        return Term(self.service, self.name, self._policy_of_terms, lease, self._follow)

    def _time_to_stop(self) -> float:
        """Seconds that a term has to end, so that the host's own patience is not over before."""
        timeout = self._settings.shutdown_timeout
        if not self.stopping.is_cancelled:
            return timeout
        self._told_to_stop.wait(timeout)  # the host may cancel `stopping` before it calls `stop`
        left = self._stop_deadline.remaining if self._stop_deadline else None
        return timeout if left is None else max(left / 2, left - 2 * GRACE)

    def _part_with_lease(self, term: Term) -> None:
        """Give the lease back, unless the service goes on: then it runs out."""
        if not term.goes_on():
            self._election.release(term.lease)
            return
        self._election.leave(term.lease)
        if not self.stopping.is_cancelled and self.move(ServiceState.FAILED):
            logger.critical(
                "Service %r has not ended though its lease is lost",
                self.name,
                extra={"service": self.name},
            )

    def _judge_term(self, term: Term, error: Exception | None) -> float | None:
        if term.failed.is_cancelled or self.state is ServiceState.FAILED:
            self._failed(self)
            return None
        return 0.0 if error is None else self._judge_failed_start(error)

    def _judge_failed_start(self, error: Exception) -> float | None:
        failures = self._intensity.record(time.monotonic())
        if not self._may_restart(failures):
            self._give_up(error, failures)
            return None
        pause = self.policy.backoff.delay(failures)
        logger.error(
            "Service %r stands by again in %.2f s, as it could not be started: %s",
            self.name,
            pause,
            error,
            extra={"service": self.name},
        )
        return pause

    def _follow(self, old: ServiceState, new: ServiceState, error: BaseException | None) -> None:
        """Take on the state of the term, whose end is not the end of this service."""
        has_failed_to_start = (old, new) == (ServiceState.STARTING, ServiceState.FAILED)
        if new is ServiceState.STOPPING or has_failed_to_start:
            self.move(ServiceState.STANDBY, error)
        elif old is not ServiceState.STOPPING:
            self.move(new, error)
