"""A service that runs while its lease is held, in hosts that share a database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from hosting.cancellation import CancellationToken
from hosting.conf import HostingSettings
from hosting.exceptions import LeaseLost, ServiceStopError
from hosting.fleet import FleetReporter
from hosting.host import Host
from hosting.leadership.election import Election
from hosting.leadership.singleton import SingletonService
from hosting.models import HostProcess, Lease
from hosting.observability.health import Subject, live, ready
from hosting.queues.stores.clock import DatabaseNow
from hosting.services import HostedService, ServiceState
from hosting.services.lease import Unleased
from hosting.signals import service_state_changed
from hosting.supervision import Policy, SupervisedService
from tests.host.helpers import (
    AT_ONCE,
    FLAVOURS,
    PATIENCE,
    PLAIN,
    Act,
    Deaf,
    Does,
    Fails,
    Fine,
    Journal,
    Polite,
    Then,
    a_service,
    status,
    until,
)
from tests.leadership.conftest import give_back, row, take_away

pytestmark = pytest.mark.django_db(transaction=True)

WHOLE_LIFE = ["starting", "start", "started", "execute", "stopping", "stop", "stopped", "close"]


class Fleet:
    """Hosts in one process, each with a service "a" of which one copy runs."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.made: list[HostedService] = []
        self.unmakeable: Exception | None = None
        self.hosts: list[Host] = []

    def host(
        self,
        label: str = "a",
        *,
        flavour: str = "plain",
        lease_timeout: float = 15.0,
        is_worker: bool = True,
        policy: Policy | None = None,
        shutdown_timeout: float = 5.0,
        startup_timeout: float | None = None,
        **acts: Act,
    ) -> Host:
        """A host that has not started; its service notes what it does as `label`."""

        def make() -> HostedService:
            if self.unmakeable:
                raise self.unmakeable
            self.made.append(
                a_service(label, self.journal, flavour, **{"execute": Polite(), **acts})
            )
            return self.made[-1]

        settings = HostingSettings(
            lease_timeout=lease_timeout,
            shutdown_timeout=shutdown_timeout,
            startup_timeout=startup_timeout,
        )
        election = Election(lease_timeout)
        reporter = FleetReporter("worker", lambda: host.services()[1:])
        host = Host(
            [
                SupervisedService(reporter, "hosting:fleet"),
                SupervisedService(election, "hosting:leases"),
                SingletonService(make, "a", policy or Policy(backoff=AT_ONCE), election, settings),
            ],
            settings,
            stop_on_failure=is_worker,
        )
        self.hosts.append(host)
        return host

    def started(self, label: str = "a", **options: Any) -> Host:
        host = self.host(label, **options)
        host.start()
        return host


@pytest.fixture
def fleet(journal: Journal) -> Iterator[Fleet]:
    made = Fleet(journal)
    yield made
    for host in made.hosts:
        with suppress(ExceptionGroup):
            host.stop()


def state(host: Host) -> str:
    return str(status(host, "a").state)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_term_is_a_whole_life(fleet: Fleet, journal: Journal, flavour: str) -> None:
    host = fleet.started(flavour=flavour)
    journal.wait_for("a.execute")
    assert state(host) == ServiceState.RUNNING
    host.stop()
    assert journal.lines == [f"a.{each}" for each in WHOLE_LIFE]
    assert state(host) == ServiceState.STOPPED


def test_one_runs_and_the_other_stands_by_until_it_stops(
    fleet: Fleet, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hosting.fleet.BEAT", 0.05)  # both are in one process, which has one row
    one = fleet.started("one")
    journal.wait_for("one.execute")
    two = fleet.started("two")
    until(lambda: state(two) == ServiceState.STANDBY)
    until(lambda: HostProcess.objects.filter(is_standing_by=True).exists())
    assert journal.count("two.start") == 0

    one.stop()
    journal.wait_for("two.execute")
    lines = journal.lines
    assert lines.index("one.close") < lines.index("two.starting")
    assert status(two, "a").facts["lease_token"] == 2


def test_who_stands_by_is_ready_and_who_runs_tells_how_it_is(
    fleet: Fleet, journal: Journal
) -> None:
    one = fleet.started("one", policy=Policy(backoff=AT_ONCE, watchdog=1.0))
    journal.wait_for("one.execute")
    type(fleet.made[0]).reports_ready = True
    two = fleet.started("two")
    try:
        until(lambda: state(two) == ServiceState.STANDBY)
        assert ready(Subject(two)).is_good
        assert live(Subject(two)).is_good
        fleet.made[0].degraded("slow")
        assert (status(one, "a").condition, status(one, "a").reason) == ("degraded", "slow")
        fleet.made[0].healthy()
        until(lambda: status(one, "a").condition == "stuck")
        assert not live(Subject(one)).is_good
        assert live(Subject(two)).is_good
    finally:
        type(fleet.made[0]).reports_ready = False


def test_one_that_never_had_the_lease_is_closed_once(fleet: Fleet, journal: Journal) -> None:
    fleet.started("one")
    journal.wait_for("one.execute")
    two = fleet.started("two")
    two.stop()
    assert [line for line in journal.lines if line.startswith("two.")] == ["two.close"]
    assert state(two) == ServiceState.STOPPED


def test_the_service_knows_its_lease(fleet: Fleet, journal: Journal) -> None:
    fleet.started(lease_timeout=5)
    journal.wait_for("a.execute")
    lease = fleet.made[0].lease
    assert (lease.token, lease.is_held) == (1, True)
    with lease.fenced():
        pass

    take_away()
    until(lambda: not lease.is_held)
    assert lease.lost.is_cancelled
    with pytest.raises(LeaseLost), lease.fenced():
        pass


def test_to_end_with_a_lost_lease_is_no_failure(
    fleet: Fleet, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if the service is the first to notice."""

    def work(token: CancellationToken) -> None:
        try:
            while not token.wait(0.01):
                with fleet.made[0].lease.fenced():
                    pass
        finally:
            connection.close()

    host = fleet.started(execute=Then(Does(work), Polite()))
    journal.wait_for("a.execute")
    take_away()
    journal.wait_for("a.close")
    until(lambda: state(host) == ServiceState.STANDBY)
    assert "has lost its lease (token 1): another process has it" in caplog.text
    assert status(host, "a").last_error is None
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_service_that_needs_no_lease_has_one_that_is_always_held(journal: Journal) -> None:
    lease = a_service("a", journal).lease
    assert isinstance(lease, Unleased)
    assert (lease.token, lease.is_held) == (0, True)
    with lease.fenced():
        pass


def test_who_loses_the_lease_stops_and_runs_anew_when_it_is_free(
    fleet: Fleet, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    host = fleet.started(lease_timeout=5)
    journal.wait_for("a.execute")
    take_away()
    journal.wait_for("a.close")
    until(lambda: state(host) == ServiceState.STANDBY)
    assert "Service 'a' has lost its lease (token 1): another process has it" in caplog.text

    give_back()
    journal.wait_for("a.execute", times=2)
    assert journal.lines == [
        *(f"a.{each}" for each in WHOLE_LIFE),
        *(f"a.{each}" for each in WHOLE_LIFE[:4]),
    ]
    assert len(fleet.made) == 2
    assert fleet.made[1].lease.token == 3


def test_who_cannot_renew_in_time_stops_before_another_may_begin(
    fleet: Fleet, journal: Journal
) -> None:
    left: list[float] = []

    def work(token: CancellationToken) -> None:
        token.wait()
        rows = Lease.objects.annotate(now=DatabaseNow()).values_list("held_until", "now")
        left.extend((until - now).total_seconds() for until, now in rows)
        connection.close()

    host = fleet.started(lease_timeout=5, execute=Does(work))
    journal.wait_for("a.execute")
    with transaction.atomic():
        Lease.objects.update(token=F("token"))  # and nobody else can write the row
        journal.wait_for("a.close")
    [seconds] = left
    assert seconds > 0
    journal.wait_for("a.execute", times=2)
    host.stop()


def test_the_token_of_execute_is_cancelled_before_anything_else_is_asked_of_the_service(
    fleet: Fleet, journal: Journal
) -> None:
    release = CancellationToken()

    def work(token: CancellationToken) -> None:
        token.wait()
        journal.note("a.ended")

    acts = {"execute": Does(work), "stopping": Deaf(release)}
    fleet.started(lease_timeout=5, shutdown_timeout=3 * PATIENCE, **acts)
    journal.wait_for("a.execute")
    take_away()
    journal.wait_for("a.ended")
    release.cancel()


def test_the_lease_of_one_that_does_not_end_is_not_given_back(
    fleet: Fleet, journal: Journal
) -> None:
    release = CancellationToken()
    host = fleet.started(shutdown_timeout=0.4, execute=Deaf(release))
    journal.wait_for("a.execute")
    with pytest.raises(ExceptionGroup):
        host.stop()
    assert state(host) == ServiceState.FAILED
    until(lambda: not lease_threads())
    assert row().holder != ""
    release.cancel()


class Stubborn(Act):
    """Goes on until the test releases it, even if asyncio cancels it."""

    def __init__(self, release: CancellationToken) -> None:
        self.release = release

    async def coroutine(self, token: CancellationToken) -> None:
        while not self.release.is_cancelled:
            with suppress(asyncio.CancelledError):
                await self.release.wait_async()


def lease_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hosting:a:lease"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_who_does_not_end_without_its_lease_fails_for_good(
    fleet: Fleet, journal: Journal, caplog: pytest.LogCaptureFixture, flavour: str
) -> None:
    release = CancellationToken()
    act = Deaf(release) if flavour == PLAIN else Stubborn(release)
    host = fleet.started(lease_timeout=5, shutdown_timeout=0.1, flavour=flavour, execute=act)
    journal.wait_for("a.execute")
    take_away()
    host.lifetime.stop_requested.wait(PATIENCE)
    assert host.lifetime.failure == "service 'a' failed for good"
    assert state(host) == ServiceState.FAILED
    assert "Service 'a' has not ended though its lease is lost" in caplog.text
    release.cancel()


class TestFailures:
    def test_a_crash_is_a_matter_of_the_term(self, fleet: Fleet, journal: Journal) -> None:
        host = fleet.started(execute=Then(Fails(RuntimeError("the disk is full")), Polite()))
        journal.wait_for("a.execute", times=2)
        until(lambda: state(host) == ServiceState.RUNNING)
        assert journal.count("a.start") == 1
        found = status(host, "a")
        assert (found.restarts, found.facts["lease_token"]) == (1, 1)
        assert found.last_error == "RuntimeError: the disk is full"

    def test_one_that_fails_for_good_leaves_the_lease_to_others(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        never = Policy(restart="never")
        one = fleet.started("one", policy=never, execute=Fails(RuntimeError("the disk is full")))
        until(lambda: one.lifetime.failure)
        assert one.lifetime.failure == "service 'a' failed for good"
        fleet.started("two")
        journal.wait_for("two.execute")
        assert state(one) == ServiceState.FAILED
        assert journal.count("one.execute") == 1

    def test_one_that_does_not_start_tries_again(self, fleet: Fleet, journal: Journal) -> None:
        host = fleet.started(start=Then(Fails(RuntimeError("the port is taken")), Fine()))
        journal.wait_for("a.execute")
        assert (journal.count("a.start"), journal.count("a.close")) == (2, 1)
        found = status(host, "a")
        assert found.facts["lease_token"] == 2
        assert found.last_error == "RuntimeError: the port is taken"

    def test_but_not_for_ever(self, fleet: Fleet, journal: Journal) -> None:
        policy = Policy(max_restarts=1, backoff=AT_ONCE)
        host = fleet.started(policy=policy, start=Fails(RuntimeError("the port is taken")))
        until(lambda: host.lifetime.failure)
        assert journal.count("a.start") == 2
        assert state(host) == ServiceState.FAILED
        until(lambda: row().holder == "")

    def test_one_that_cannot_be_made_again_is_not_forgotten(
        self, fleet: Fleet, journal: Journal, caplog: pytest.LogCaptureFixture
    ) -> None:
        host = fleet.started(policy=Policy(max_restarts=1, backoff=AT_ONCE), lease_timeout=5)
        journal.wait_for("a.execute")
        fleet.unmakeable = RuntimeError("the template is gone")
        take_away()
        journal.wait_for("a.close")
        give_back()
        until(lambda: host.lifetime.failure)
        assert state(host) == ServiceState.FAILED
        assert "as it could not be started: the template is gone" in caplog.text
        until(lambda: row().holder == "")

    def test_one_that_starts_for_too_long_and_does_not_end_is_no_second_copy(
        self, fleet: Fleet, journal: Journal
    ) -> None:
        release = CancellationToken()
        host = fleet.started(startup_timeout=0.1, start=Deaf(release))
        until(lambda: host.lifetime.failure)
        assert journal.count("a.start") == 1
        assert row().holder != ""
        release.cancel()

    def test_one_that_ends_keeps_its_lease(self, fleet: Fleet, journal: Journal) -> None:
        """So that its work is done once in the fleet, and not once by every process."""
        one = fleet.started("one", execute=Fine())
        until(lambda: state(one) == ServiceState.COMPLETED)
        two = fleet.started("two")
        until(lambda: state(two) == ServiceState.STANDBY)
        assert row().token == 1
        one.stop()
        journal.wait_for("two.execute")

    def test_errors_of_a_stop_are_those_of_the_host(self, fleet: Fleet, journal: Journal) -> None:
        host = fleet.started(stop=Fails(RuntimeError("the line is dead")))
        journal.wait_for("a.execute")
        with pytest.raises(ExceptionGroup) as caught:
            host.stop()
        assert caught.group_contains(ServiceStopError, match="the line is dead", depth=None)
        assert row().holder == ""


def test_the_states_are_announced_in_order(fleet: Fleet, journal: Journal) -> None:
    heard: list[str] = []

    def hear(sender: type, service: str, new: ServiceState, **_: Any) -> None:
        if service == "a":
            heard.append(str(new))

    service_state_changed.connect(hear)
    try:
        host = fleet.started(lease_timeout=5)
        journal.wait_for("a.execute")
        take_away()
        journal.wait_for("a.close")
        until(lambda: state(host) == ServiceState.STANDBY)
        host.stop()
    finally:
        service_state_changed.disconnect(hear)
    assert heard == ["starting", "standby", "starting", "running", "standby", "stopping", "stopped"]


def test_without_tables_nothing_runs(fleet: Fleet, journal: Journal, caplog: Any) -> None:
    with connection.schema_editor() as editor:
        editor.delete_model(Lease)
    try:
        host = fleet.started()
        until(lambda: "The leases cannot be reached (is hosting migrated?)" in caplog.text)
        assert state(host) == ServiceState.STANDBY
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Lease)
    journal.wait_for("a.execute")
    assert caplog.text.count("The leases cannot be reached") == 1
