"""What a process answers when it is asked for its health: three questions, for three who ask.

live      is it worth keeping? Who started it asks, and replaces it if not.
ready     is it to get work now? A load balancer asks, or who rolls out a new version.
services  does somebody need to look? People ask, and what calls them.

The answers come from the memory of this process alone. Anybody may ask, so an answer has no text in
it that an error or a service has written, as there may be a secret in it, unless it is `detailed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hosting.host import Host
from hosting.services import Condition, ServiceState, ServiceStatus

#: In these states a service is in nobody's way, though it is not ready.
NEVER_AWAITED = (ServiceState.STANDBY, ServiceState.COMPLETED)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a question is about: the host of a process, or why there is none.

    A process that is not to host anything has neither host nor absence.
    """

    host: Host | None
    absence: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Good, or what is the matter; and what else there is to tell, in JSON values."""

    reasons: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether nothing is the matter."""
        return not self.reasons

    @property
    def status_code(self) -> int:
        """The answer as a status of HTTP."""
        return 200 if self.is_good else 503

    def as_json(self) -> dict[str, Any]:
        """The answer in JSON values."""
        return {
            "status": "ok" if self.is_good else "failing",
            "reasons": list(self.reasons),
            **self.told,
        }


def live(subject: Subject, *, detailed: bool = False) -> Answer:
    """Whether the process is worth keeping: nothing in it is stuck, lost, or failed for good."""
    return _answer(subject, _grounds_to_replace(subject.host))


def ready(subject: Subject, *, detailed: bool = False) -> Answer:
    """Whether it is to get work: started, not stopping, and no service still has to get ready."""
    return _answer(subject, _grounds_to_wait(subject))


def services(subject: Subject, *, detailed: bool = False) -> Answer:
    """Whether nobody needs to look; tells of every service."""
    found = _statuses(subject.host, detailed)
    reasons = [] if subject.host is not None or not subject.absence else [subject.absence]
    reasons += [_complaint(status, detailed) for status in found if not status.is_healthy]
    return _answer(subject, reasons, services=[_told(status, detailed) for status in found])


Question = Callable[..., Answer]

#: The questions by the last part of their paths.
QUESTIONS: Mapping[str, Question] = {"live": live, "ready": ready, "services": services}


def _answer(subject: Subject, reasons: Iterable[str], **told: Any) -> Answer:
    host = subject.host
    process = {"kind": host.kind, "pid": host.pid} if host else {}
    hosts = host is not None or bool(subject.absence)
    return Answer(tuple(reasons), {"hosts": hosts, **process, **told})


def _grounds_to_replace(host: Host | None) -> Iterator[str]:
    if host is None:
        return
    if reason := host.lifetime.failure or host.lifetime.recycling:
        yield reason
    for status in _statuses(host):
        if status.condition is Condition.STUCK:
            yield _complaint(status)


def _grounds_to_wait(subject: Subject) -> Iterator[str]:
    host = subject.host
    if host is None:
        if subject.absence:
            yield subject.absence
    elif host.lifetime.stopped.is_cancelled:
        yield "its services have stopped"
    elif host.lifetime.stop_requested.is_cancelled:
        yield "its services are stopping"
    elif not host.lifetime.started.is_cancelled:
        yield "its services are starting"
    else:
        for status in _statuses(host):
            if status.reports_ready and not status.ready and status.state not in NEVER_AWAITED:
                yield f"{status.name} is not ready"


def _statuses(host: Host | None, detailed: bool = False) -> list[ServiceStatus]:
    return [] if host is None else host.services(with_facts=detailed)


def _complaint(status: ServiceStatus, detailed: bool = False) -> str:
    reason = _reason(status, detailed)
    return f"{status.name} is {status.condition}" + (f": {reason}" if reason else "")


def _reason(status: ServiceStatus, detailed: bool) -> str:
    """The reason of its condition; that of a degraded service is its own text."""
    is_its_own = status.condition is Condition.DEGRADED
    return "" if is_its_own and not detailed else status.reason


def _told(status: ServiceStatus, detailed: bool) -> dict[str, Any]:
    error = status.last_error
    told = {
        "name": status.name,
        "state": status.state,
        "since": status.since.isoformat(),
        "ready": status.ready,
        "restarts": status.restarts,
        "healthy": status.is_healthy,
        "condition": status.condition,
        "reason": _reason(status, detailed),
        "last_error": error if detailed or error is None else error.partition(":")[0],
        "beat_at": status.beat_at.isoformat() if status.beat_at else None,
    }
    return {**told, "service": status.service, "facts": status.facts} if detailed else told
