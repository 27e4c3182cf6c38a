"""Spans of OpenTelemetry: one for each attempt of a job, one for each tick.

A job takes the W3C trace context of whoever enqueued it along, and its attempts are children of
that span: one trace holds the request and its jobs, and what is decided of the request, whether it
is sampled, holds for them. The names of attributes are those of the semantic conventions for
messaging; arguments of jobs are in none.

Where nobody has set up a provider of OpenTelemetry's SDK there is no span to take along, so nothing
is written, and spans that record nothing cost little.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hosting.observability.labels import UNKNOWN
from hosting.observability.receiving import Receivers
from hosting.queues.hand import JobInHand
from hosting.queues.outcomes import Ending, Outcome
from hosting.signals import (
    attempt_ended,
    attempt_started,
    jobs_enqueuing,
    tick_finished,
    tick_started,
)
from hosting.version import VERSION

SYSTEM = "django-hosting-services"


class Tracer:
    """Makes the spans, by this provider; None is the one that is set for the process."""

    def __init__(self, provider: Any = None) -> None:
        self._tracer = trace.get_tracer("hosting", VERSION, tracer_provider=provider)
        self._propagator = TraceContextTextMapPropagator()
        self._open = threading.local()  # a job or tick begins and ends on one thread

    def carry(self, carried: dict[str, str], **_: Any) -> None:
        """Have jobs take the present trace along."""
        self._propagator.inject(carried)

    def begin_attempt(self, job: JobInHand, **_: Any) -> None:
        """Begin the span of an attempt."""
        parent = self._propagator.extract(job.carried, context.Context())
        name = f"process {job.task_path or UNKNOWN}"
        self._begin(name, parent, SpanKind.CONSUMER, _attributes(job))

    def end_attempt(self, outcome: Outcome, **_: Any) -> None:
        """End it, with the error unless the job only comes back later."""
        has_failed = outcome.ending in (Ending.FAILED, Ending.RETRYING)
        error = outcome.error if has_failed else None
        self._end(error, {"hosting.job.ending": outcome.ending.value})

    def begin_tick(self, service: str, **_: Any) -> None:
        """Begin the span of a tick or an iteration, which belongs to no other trace."""
        name, attributes = f"tick {service}", {"hosting.service": service}
        self._begin(name, context.Context(), SpanKind.INTERNAL, attributes)

    def end_tick(self, error: BaseException | None, **_: Any) -> None:
        """End it."""
        self._end(error, {})

    def _begin(
        self, name: str, parent: Any, kind: Any, attributes: Mapping[str, str | int]
    ) -> None:
        span = self._tracer.start_span(name, context=parent, kind=kind, attributes=attributes)
        token = context.attach(trace.set_span_in_context(span, parent))
        self._open.span = (span, token)

    def _end(self, error: BaseException | None, attributes: Mapping[str, str]) -> None:
        opened: Any = getattr(self._open, "span", None)
        if opened is None:  # it had begun before anybody listened
            return
        self._open.span = None
        span, token = opened
        context.detach(token)
        span.set_attributes(attributes)
        if error is not None:
            kind = type(error)
            span.record_exception(error)
            span.set_attribute("error.type", f"{kind.__module__}.{kind.__qualname__}")
            span.set_status(Status(StatusCode.ERROR, kind.__qualname__))
        span.end()


def _attributes(job: JobInHand) -> Mapping[str, str | int]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": job.claim.queue_name,
        "messaging.message.id": str(job.claim.id),
        "messaging.consumer.group.name": job.holder.service,
        "messaging.client.id": job.holder.process,
        "hosting.task": job.task_path or UNKNOWN,
        "hosting.attempt": job.attempt,
    }


class Observer(Receivers):
    """A tracer that is connected to what the core announces, until it is closed."""

    def __init__(self, provider: Any = None) -> None:
        tracer = Tracer(provider)
        super().__init__(
            {
                jobs_enqueuing: tracer.carry,
                attempt_started: tracer.begin_attempt,
                attempt_ended: tracer.end_attempt,
                tick_started: tracer.begin_tick,
                tick_finished: tracer.end_tick,
            }
        )


def connect() -> None:
    """Trace from now on; again: does nothing."""
    global _observer
    if _observer is None:
        _observer = Observer()


_observer: Observer | None = None
