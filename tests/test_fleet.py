"""The processes that host services, as seen through the database."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.db.models import F
from django.utils import timezone

from hosting import fleet
from hosting.cancellation import CancellationToken
from hosting.fleet import DEAD_AFTER, STALE_AFTER, FleetReporter, FleetService
from hosting.host import Host
from hosting.ids import uuid7
from hosting.models import HostProcess
from hosting.services import BackgroundService, HostedService, ServiceState, ServiceStatus
from hosting.signals import service_state_changed
from hosting.version import VERSION
from tests.host.helpers import (
    Does,
    Fails,
    Journal,
    Polite,
    a_host,
    a_service,
    assert_no_threads_left,
    status,
    supervised,
    until,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def journal() -> Iterator[Journal]:
    yield Journal()
    assert_no_threads_left()


def reporting_host(*services: Any, kind: str = "worker", **settings: Any) -> Host:
    """A host whose first service reports on the others, as the builder makes it."""
    reporter = FleetReporter(kind, lambda: host.services()[1:])
    host = a_host(reporter, *services, **settings)
    return host


def shown(name: str) -> FleetService | None:
    return next((service for service in fleet.services() if service.name == name), None)


def until_shown(name: str, state: str) -> FleetService:
    until(lambda: (found := shown(name)) is not None and found.state == state)
    found = shown(name)
    assert found is not None
    return found


def a_row(**fields: Any) -> HostProcess:
    now = timezone.now()
    row = {"name": "old", "service": "a.B", "state": "running", "since": now.isoformat()}
    row |= {"ready": True, "restarts": 0, "last_error": None, "facts": {}}
    made = {"host_name": "elsewhere", "pid": 1, "kind": "web", "version": "0"}
    made["id"] = f"elsewhere:{uuid7()}"
    made["services"] = json.dumps(fields.pop("services", [row]))
    return HostProcess.objects.create(**{**made, "started_at": now, "seen_at": now, **fields})


def test_nobody_is_in_an_empty_fleet() -> None:
    assert fleet.services() == []


def test_a_process_shows_its_services_while_it_lives(journal: Journal) -> None:
    with reporting_host(a_service("a", journal, execute=Polite()), kind="web"):
        found = until_shown("a", "running")
        assert (found.kind, found.pid) == ("web", os.getpid())
        assert found.host_name == socket.gethostname()[:255]
        assert found.service == "tests.host.helpers.PlainWorker"
        assert found.ready
        assert found.since is not None
        assert found.since <= timezone.now()
        assert HostProcess.objects.get().version == VERSION
    assert fleet.services() == []
    assert not HostProcess.objects.exists()


def test_a_change_of_state_is_shown_at_once(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the next beat."""
    monkeypatch.setattr("hosting.fleet.BEAT", 900.0)
    crash_now = CancellationToken()

    def wait_and_fail(token: CancellationToken) -> None:
        crash_now.wait()
        raise ValueError("out of luck")

    service = supervised(a_service("a", journal, execute=Does(wait_and_fail)), restart="never")
    with reporting_host(service, stop_on_failure=False):
        until_shown("a", "running")
        crash_now.cancel()
        found = until_shown("a", "failed")
        assert found.last_error == "ValueError: out of luck"
        assert not found.ready


def test_the_row_is_renewed_by_the_clock_of_the_database(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hosting.fleet.BEAT", 0.001)
    with reporting_host(a_service("a", journal)):
        until_shown("a", "running")
        HostProcess.objects.update(seen_at=F("seen_at") - timedelta(days=1))
        until_shown("a", "running")


def test_a_process_that_was_not_seen_for_a_while_does_not_count() -> None:
    now = timezone.now()
    a_row(seen_at=now - STALE_AFTER - timedelta(seconds=5))
    assert fleet.services() == []
    a_row(seen_at=now)
    assert [service.name for service in fleet.services()] == ["old"]


def test_the_dead_are_told_of_once_and_removed(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    gone = a_row(seen_at=timezone.now() - DEAD_AFTER - timedelta(seconds=5), pid=4711)
    stale = a_row(seen_at=timezone.now() - STALE_AFTER - timedelta(seconds=5))
    with reporting_host(a_service("a", journal)), reporting_host(a_service("b", journal)):
        until(lambda: not HostProcess.objects.filter(pk=gone.pk).exists())
        assert HostProcess.objects.filter(pk=stale.pk).exists()
    told = [record.getMessage() for record in caplog.records if "has died" in record.message]
    assert len(told) == 1
    assert told[0].startswith("web 4711 on elsewhere has died, or is cut off: it was last seen ")


def test_who_still_has_claims_of_jobs_is_not_removed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hosting.fleet.BEAT", 0.001)
    monkeypatch.setattr("hosting.fleet.LOOK", 0.0)
    now = timezone.now()
    patient = a_row(seen_at=now - timedelta(hours=1), alive_until=now + timedelta(hours=1))
    with reporting_host(a_service("a", journal)):
        for _ in range(2):  # each is deleted by a look of its own
            gone = a_row(seen_at=now - timedelta(hours=1), alive_until=now - timedelta(seconds=1))
            until(lambda gone=gone: not HostProcess.objects.filter(pk=gone.pk).exists())
    assert HostProcess.objects.filter(pk=patient.pk).exists()


def test_a_row_that_somebody_deleted_comes_back(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hosting.fleet.BEAT", 0.001)
    with reporting_host(a_service("a", journal)):
        until_shown("a", "running")
        HostProcess.objects.all().delete()
        until_shown("a", "running")


def test_the_processes_are_in_the_order_of_their_start() -> None:
    for pid in range(5):
        a_row(pid=pid)
    assert [service.pid for service in fleet.services()] == list(range(5))


def test_a_row_of_another_version_is_read_all_the_same() -> None:
    """During a deployment both versions write rows."""
    row = a_row()
    old = dict(json.loads(row.services)[0])
    del old["facts"]
    a_row(services=[{**old, "shoe_size": 42}])
    assert len(fleet.services()) == 2


@pytest.mark.parametrize("text", ["", "{", "null", "[1, [], null]", '{"a": 1}', "[" * 100_000])
def test_a_row_that_is_damaged_tells_of_nothing_and_hides_no_other(text: str) -> None:
    count = len(json.loads(a_row().services))
    damaged = a_row()
    HostProcess.objects.filter(pk=damaged.pk).update(services=text)
    assert len(fleet.services()) == count


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("no such table: hosting_hostprocess"),
        DatabaseError("damaged"),
        InterfaceError("connection already closed"),
    ],
)
def test_a_database_that_is_away_stops_nobody(
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """It is told once, and the host goes on."""
    monkeypatch.setattr("hosting.fleet.BEAT", 0.001)
    tried: list[int] = []

    def fail() -> Any:
        tried.append(1)
        raise error

    monkeypatch.setattr("hosting.fleet._rows", fail)
    with reporting_host(a_service("a", journal)) as host:
        until(lambda: len(tried) > 3)
        assert status(host, "FleetReporter").restarts == 0
        assert not host.lifetime.stop_requested.is_cancelled
    warnings = [record for record in caplog.records if "cannot be written" in record.getMessage()]
    assert len(warnings) == 1
    assert str(error) in warnings[0].getMessage()


def test_when_the_database_is_back_the_row_is_back(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hosting.fleet.BEAT", 0.001)
    renew = FleetReporter._renew
    tried: list[int] = []

    def fail_at_first(reporter: FleetReporter) -> None:
        tried.append(1)
        if len(tried) <= 3:
            raise OperationalError("away")
        renew(reporter)

    monkeypatch.setattr(FleetReporter, "_renew", fail_at_first)
    with reporting_host(a_service("a", journal)):
        until_shown("a", "running")


class Telling(HostedService):
    """Reports what a test wants it to report."""

    told: Any = None

    def facts(self) -> Mapping[str, Any]:
        if isinstance(self.told, Exception):
            raise self.told
        return {"told": self.told}


@pytest.mark.parametrize(
    "told",
    [object(), timezone.now(), float("nan"), "\x00", "\ud800", {1, 2}, b"x", ValueError("no")],
    ids=["object", "datetime", "nan", "nul", "surrogate", "set", "bytes", "error"],
)
def test_what_a_service_tells_cannot_hide_its_process(journal: Journal, told: Any) -> None:
    """Whatever it is: the other services of the process are still seen."""
    service = Telling()
    service.told = told
    with reporting_host(service, a_service("a", journal)) as host:
        until_shown("a", "running")
        assert shown("Telling") is not None
        assert status(host, "FleetReporter").restarts == 0


@pytest.mark.parametrize("message", ["a \x00 in the reply", "\ud800"], ids=["nul", "surrogate"])
def test_what_a_service_dies_of_cannot_hide_its_process(journal: Journal, message: str) -> None:
    """An error may quote any bytes that came over the wire."""
    service = supervised(
        a_service("a", journal, execute=Fails(ValueError(message))), restart="never"
    )
    with reporting_host(service, stop_on_failure=False):
        until_shown("a", "failed")


def test_the_reporter_listens_no_longer_than_it_lives(journal: Journal) -> None:
    before = len(service_state_changed.receivers)
    with reporting_host(a_service("a", journal)):
        assert len(service_state_changed.receivers) == before + 1
    assert len(service_state_changed.receivers) == before


def test_the_row_is_gone_also_when_another_service_hangs(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reporter stops last, but not too late to say good-bye."""
    monkeypatch.setattr("hosting.deadlines.GRACE", 0.1)
    release = CancellationToken()
    hung = a_service("hung", journal, stop=Does(lambda _: release.wait()))
    host = reporting_host(hung, shutdown_timeout=0.05)
    host.start()
    until_shown("hung", "running")
    try:
        with pytest.raises(ExceptionGroup):
            host.stop()
        until(lambda: not HostProcess.objects.exists())
    finally:
        release.cancel()


def test_a_change_of_condition_is_shown_at_once(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hosting.fleet.BEAT", 900.0)
    service = a_service("a", journal, execute=Polite())
    with reporting_host(service):
        until_shown("a", "running")
        service.beat()
        service.degraded("slow")
        until(lambda: (found := shown("a")) is not None and found.condition == "degraded")
        found = shown("a")
        assert found is not None
        assert (found.reason, found.is_healthy) == ("slow", False)
        assert found.beat_at is not None


def test_what_a_process_of_an_earlier_version_does_not_tell_follows_from_the_state() -> None:
    a_row(services=[{"name": "a", "state": "running"}, {"name": "b", "state": "failed"}])
    assert [found.condition for found in fleet.services()] == ["healthy", "down"]


def test_the_reporter_needs_no_host_to_be_a_service() -> None:
    """It is an ordinary service."""
    reporter = FleetReporter("web", lambda: [])
    assert isinstance(reporter, BackgroundService)
    ended = CancellationToken()
    ended.cancel()
    reporter.execute(ended)
    assert not HostProcess.objects.exists()


def test_a_status_of_every_state_can_be_shown() -> None:
    for state in ServiceState:
        found = ServiceStatus("a", "a.B", state, timezone.now(), False, 0, None)
        assert json.loads(fleet._as_json(found))["state"] == state.value
