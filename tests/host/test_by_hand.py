"""A service that is stopped, started and restarted by hand, while its host goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hosting.cancellation import CancellationToken
from hosting.exceptions import HostStateError, ServiceStartError
from hosting.host import Host
from hosting.services import ServiceState
from hosting.supervision import SupervisedService
from tests.host.helpers import (
    FLAVOURS,
    HOOKS,
    Act,
    Deaf,
    Fails,
    Fine,
    Journal,
    Polite,
    Then,
    a_host,
    a_service,
    status,
    supervised,
    until_state,
)

LIFE = ["starting", "start", "started", "execute"]
END = ["stopping", "stop", "stopped", "close"]


class Maker:
    """Makes hosts of a service "a" that has as many lives as it needs, and one "b" with one."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.hosts: list[Host] = []

    def __call__(
        self, *, flavour: str = "plain", is_worker: bool = True, timeout: float = 5.0, **acts: Act
    ) -> Host:
        def make() -> SupervisedService:
            service = a_service("a", self.journal, flavour, **{"execute": Polite(), **acts})
            found = supervised(service, restart="never")
            found.again = make
            return found

        other = a_service("b", self.journal, execute=Polite())
        host = a_host(make(), other, stop_on_failure=is_worker, shutdown_timeout=timeout)
        self.hosts.append(host)
        host.start()
        if "start" not in acts and "execute" not in acts:
            self.journal.wait_for("a.execute")
        return host


@pytest.fixture
def made(journal: Journal) -> Iterator[Maker]:
    maker = Maker(journal)
    yield maker
    for host in maker.hosts:
        host.stop()


def of_a(journal: Journal) -> list[str]:
    return [line[2:] for line in journal.lines if line.startswith("a.")]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_it_goes_through_its_whole_life_twice(made: Maker, journal: Journal, flavour: str) -> None:
    host = made(flavour=flavour)

    assert host.halt("a") == []
    assert status(host, "a").state is ServiceState.STOPPED
    assert of_a(journal) == LIFE + END
    host.resume("a")
    journal.wait_for("a.execute", 2)
    assert status(host, "a").state is ServiceState.RUNNING
    assert status(host, "b").state is ServiceState.RUNNING
    host.stop()
    assert of_a(journal) == 2 * (LIFE + END)
    assert [journal.count(f"b.{hook}") for hook in HOOKS] == [1] * len(HOOKS)


def test_what_was_stopped_by_hand_is_not_stopped_again(made: Maker, journal: Journal) -> None:
    host = made()
    host.halt("a")
    assert host.halt("a") == []
    host.stop()
    assert of_a(journal) == LIFE + END
    assert status(host, "a").state is ServiceState.STOPPED


@pytest.mark.parametrize("act", [Fine(), Fails(OSError("broken"))], ids=["ended", "failed"])
def test_what_has_ended_is_started_again(made: Maker, journal: Journal, act: Act) -> None:
    host = made(is_worker=False, execute=Then(act, Polite()))
    until_state(host, "a", ServiceState.COMPLETED if type(act) is Fine else ServiceState.FAILED)
    host.resume("a")
    journal.wait_for("a.execute", 2)
    assert status(host, "a").state is ServiceState.RUNNING
    assert host.lifetime.failure is None
    assert of_a(journal).count("close") == 1


def test_what_does_not_start_can_be_started_once_more(made: Maker, journal: Journal) -> None:
    host = made(start=Then(Fine(), Fails(OSError("no room")), Fine()))
    host.halt("a")
    with pytest.raises(ServiceStartError, match="no room"):
        host.resume("a")
    assert status(host, "a").state is ServiceState.FAILED
    assert journal.count("a.close") == 2
    assert not host.lifetime.stop_requested.is_cancelled
    host.resume("a")
    assert status(host, "a").state is ServiceState.RUNNING


def test_what_does_not_end_gets_no_second_copy(
    made: Maker, journal: Journal, release: CancellationToken
) -> None:
    host = made(execute=Deaf(release), timeout=0.1)
    journal.wait_for("a.execute")
    [error] = host.halt("a")
    assert "overran its time" in str(error)
    with pytest.raises(HostStateError, match="has not ended"):
        host.resume("a")
    assert journal.count("a.execute") == 1


def test_what_cannot_be_steered_is_named(made: Maker) -> None:
    host = made()
    for name in ("b", "c"):
        with pytest.raises(HostStateError, match=f"No service '{name}' .* allowed: 'a'"):
            host.halt(name)
    with pytest.raises(HostStateError, match="'a' is running and has not ended"):
        host.resume("a")
    host.stop()
    with pytest.raises(HostStateError, match="The host stops"):
        host.halt("a")
