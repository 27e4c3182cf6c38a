"""Traces: a job belongs to the trace of whoever enqueued it, across a real worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hosting
from hosting import CancellationToken, TimedService
from hosting.models import Job
from hosting.testing import started
from tests.observability import tasks
from tests.queues.conftest import RunningWorker, until

pytest.importorskip("opentelemetry.sdk")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hosting.observability.tracing import Observer

Start = Callable[..., RunningWorker]


class Traced:
    """The spans of a provider of its own."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.observer = Observer(self.provider)
        self.tracer = self.provider.get_tracer("the project")

    def span(self, name: str) -> Any:
        """The one span with this name, once it has ended."""
        until(lambda: self.spans(name))
        [span] = self.spans(name)
        return span

    def spans(self, name: str) -> list[Any]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]


@pytest.fixture
def traced() -> Iterator[Traced]:
    traced = Traced()
    yield traced
    traced.observer.close()


def process(task: Any) -> str:
    return f"process {task.module_path}"


@pytest.mark.django_db(transaction=True)
class TestJobs:
    @pytest.mark.parametrize("task", [tasks.add, tasks.aadd, tasks.add_atomically])
    def test_a_job_is_in_the_trace_of_the_request(
        self, worker: Start, traced: Traced, task: Any
    ) -> None:
        worker()
        with traced.tracer.start_as_current_span("GET /") as request:
            result = task.enqueue(1)
        job = traced.span(process(task))

        assert job.context.trace_id == request.get_span_context().trace_id
        assert job.parent.span_id == request.get_span_context().span_id
        assert job.kind.name == "CONSUMER"
        attributes = dict(job.attributes)
        assert attributes.pop("messaging.client.id")
        assert attributes == {
            "messaging.system": "django-hosting-services",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": "default",
            "messaging.message.id": result.id,
            "messaging.consumer.group.name": "jobs",
            "hosting.task": task.module_path,
            "hosting.attempt": 1,
            "hosting.job.ending": "succeeded",
        }

    def test_so_are_the_jobs_of_many_calls(self, worker: Start, traced: Traced) -> None:
        worker()
        with traced.tracer.start_as_current_span("GET /") as request:
            hosting.enqueue_many(tasks.add, [(1,), (2,)])
        until(lambda: len(traced.spans(process(tasks.add))) == 2)

        parents = {span.parent.span_id for span in traced.spans(process(tasks.add))}
        assert parents == {request.get_span_context().span_id}

    @pytest.mark.parametrize("task", [tasks.enqueue_next, tasks.aenqueue_next])
    def test_what_a_job_enqueues_is_below_that_job(
        self, worker: Start, traced: Traced, task: Any
    ) -> None:
        worker()
        task.enqueue()
        first, second = traced.span(process(task)), traced.span(process(tasks.add))

        assert second.parent.span_id == first.context.span_id

    def test_every_attempt_has_a_span_with_its_error_and_without_arguments(
        self, worker: Start, traced: Traced
    ) -> None:
        worker()
        with traced.tracer.start_as_current_span("GET /") as request:
            tasks.fail.enqueue("as told")
        until(lambda: len(traced.spans(process(tasks.fail))) == 2)
        spans = traced.spans(process(tasks.fail))

        assert [span.attributes["hosting.attempt"] for span in spans] == [1, 2]
        assert [span.attributes["hosting.job.ending"] for span in spans] == ["retrying", "failed"]
        for span in spans:
            assert span.context.trace_id == request.get_span_context().trace_id
            assert span.status.status_code.name == "ERROR"
            assert span.attributes["error.type"] == "builtins.LookupError"
            assert [event.name for event in span.events] == ["exception"]
            assert "as told" not in f"{span.name} {dict(span.attributes)} {span.status.description}"

    def test_the_options_of_the_call_come_along_with_the_trace(
        self, worker: Start, traced: Traced
    ) -> None:
        with traced.tracer.start_as_current_span("GET /") as request:
            tasks.fail.using(max_attempts=1).enqueue("once")
        worker()
        job = traced.span(process(tasks.fail))

        assert job.attributes["hosting.job.ending"] == "failed"
        assert job.parent.span_id == request.get_span_context().span_id

    def test_without_a_span_nothing_is_written_and_the_job_begins_a_trace(
        self, worker: Start, traced: Traced
    ) -> None:
        tasks.add.enqueue(1)
        assert Job.objects.get().options == ""
        worker()
        assert traced.span(process(tasks.add)).parent is None

    def test_a_trace_is_no_concern_of_a_worker_that_does_not_trace(
        self, worker: Start, traced: Traced
    ) -> None:
        with traced.tracer.start_as_current_span("GET /"):
            result = tasks.add.enqueue(1)
        assert "traceparent" in Job.objects.get().options
        traced.observer.close()
        worker()

        until(lambda: result.refresh() or result.is_finished)
        assert result.return_value == 2


class Ticking(TimedService):
    interval = 60
    inside: Any = None

    def tick(self, stopping: CancellationToken) -> None:
        type(self).inside = trace.get_current_span().get_span_context().span_id
        raise LookupError("as told")


def test_a_tick_has_a_span(traced: Traced) -> None:
    with started(Ticking()):
        tick = traced.span("tick Ticking")

    assert tick.context.span_id == Ticking.inside
    assert tick.attributes["hosting.service"] == "Ticking"
    assert tick.status.status_code.name == "ERROR"
