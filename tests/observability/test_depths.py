"""What Prometheus sees of the queues and the fleet: asked of the database, at a bounded cost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

import hosting
from hosting.models import HostProcess, Job, JobState
from hosting.queues.stores import store_for
from hosting.queues.stores.census import Census
from tests.observability import tasks
from tests.observability.conftest import Observed, Scrape

pytest.importorskip("prometheus_client")
from prometheus_client import CollectorRegistry, generate_latest

from hosting.observability.collecting import StoreCollector
from hosting.observability.fleetwide import Answers


@pytest.fixture
def states(transactional_db: None) -> None:
    """Jobs of two queues, in all states; the oldest that is ready is not the first in line."""
    jobs = tasks.add.using(queue_name="mail")
    hosting.enqueue_many(tasks.add, [(n,) for n in range(3)])
    hosting.enqueue_many(jobs, [(n,) for n in range(5)])
    old = tasks.add.using(priority=-5).enqueue(9)
    Job.objects.filter(id=old.id).update(due_at=Now() - timedelta(minutes=5))
    tasks.add.using(run_after=timedelta(hours=1)).enqueue(1)
    tasks.add.using(concurrency=1).enqueue(1)
    batch = hosting.Batch()
    with batch:
        batch.enqueue_many(jobs, [(1,)])
        batch.then(tasks.add, 1)
    running = Job.objects.filter(queue_name="mail").values_list("id", flat=True)[:2]
    Job.objects.filter(id__in=list(running)).update(state=JobState.RUNNING, claimed_by="somebody")


def test_jobs_are_counted_by_queue_and_state(states: None, observed: Observed) -> None:
    scrape = observed.scrape()
    counts = {
        (queue, state): scrape.value("hosting_queue_jobs", queue=queue, state=state)
        for queue in ("default", "mail")
        for state in JobState.values
    }
    assert {key: count for key, count in counts.items() if count} == {
        ("default", "ready"): 4,
        ("default", "waiting"): 1,
        ("default", "blocked"): 1,
        ("default", "held"): 1,
        ("mail", "ready"): 4,
        ("mail", "running"): 2,
    }
    assert scrape.value("hosting_database_up") == 1


def test_the_oldest_is_found_behind_others_of_higher_priority(
    states: None, observed: Observed
) -> None:
    scrape = observed.scrape()
    ages = [
        scrape.value("hosting_queue_oldest_ready_seconds", queue=queue) or 0.0
        for queue in ("default", "mail")
    ]
    assert 300 <= ages[0] < 330
    assert ages[1] < 30


def test_counting_stops(states: None) -> None:
    census = Census(store_for("default"), "default")
    counts = census.counts(most=2)
    assert counts["default", JobState.READY] == counts["mail", JobState.READY] == 2
    with CaptureQueriesContext(
        connection,
    ) as queries:
        census.counts(most=2)
    assert all("LIMIT 2" in query["sql"] for query in queries.captured_queries)


def test_the_fleet_is_counted(transactional_db: None, observed: Observed) -> None:
    for number, (kind, age) in enumerate([("web", 1), ("worker", 1), ("worker", 1), ("web", 99)]):
        HostProcess.objects.create(
            id=str(number),
            host_name="here",
            pid=number,
            kind=kind,
            services=json.dumps([{"name": "reaper", "state": "running"}]),
            started_at=Now(),
            seen_at=Now() - timedelta(seconds=age),
        )
    scrape = observed.scrape()

    assert scrape.value("hosting_services", service="reaper", state="running") == 3
    assert scrape.value("hosting_processes", kind="web") == 1
    assert scrape.value("hosting_processes", kind="worker") == 2


def test_what_waits_in_memory_is_counted(observed: Observed, db: None) -> None:
    before = observed.scrape().value("hosting_background_queue_items", queue="default")
    hosting.background_tasks.enqueue(lambda token: None)
    try:
        after = observed.scrape().value("hosting_background_queue_items", queue="default")
    finally:
        hosting.background_tasks.poll()
    assert (before, after) == (0, 1)


def scrape_of(ask: Any) -> tuple[StoreCollector, Scrape]:
    registry = CollectorRegistry()
    collector = StoreCollector(ask)
    registry.register(collector)
    return collector, Scrape(generate_latest(registry).decode())


def test_a_database_that_is_away_spoils_no_scrape() -> None:
    def ask() -> Answers:
        raise OperationalError("it is away")

    _, scrape = scrape_of(ask)
    assert scrape.value("hosting_database_up") == 0


def test_many_scrapes_ask_the_database_once() -> None:
    asked: list[int] = []

    def ask() -> Answers:
        asked.append(1)
        return Answers()

    collector, _ = scrape_of(ask)
    list(collector.collect())
    assert len(asked) == 1
