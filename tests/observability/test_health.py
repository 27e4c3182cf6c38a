"""What a process answers about its health, by what its host does; no database is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from hosting.cancellation import CancellationToken
from hosting.exceptions import ServiceStartError
from hosting.host import Host
from hosting.observability.health import Answer, Subject, live, ready, services
from hosting.services import BackgroundService, HostedService, ServiceState
from tests.host.helpers import (
    PATIENCE,
    Does,
    Fails,
    Fine,
    Journal,
    Polite,
    Runner,
    a_host,
    a_service,
    assert_no_threads_left,
    supervised,
    until,
    until_state,
)

SECRET = "postgres://user:tiger@db"


@pytest.fixture
def journal() -> Iterator[Journal]:
    yield Journal()
    assert_no_threads_left()


class Warming(BackgroundService):
    """Is ready once the test lets it."""

    reports_ready: ClassVar[bool] = True

    def __init__(self) -> None:
        self.warm = CancellationToken()

    def execute(self, stopping: CancellationToken) -> None:
        self.warm.wait(PATIENCE)
        self.ready()
        stopping.wait()


def asked(host: Host) -> dict[str, bool]:
    """Whether each of the three answers is good."""
    subject = Subject(host)
    return {ask.__name__: ask(subject).is_good for ask in (live, ready, services)}


ALL_WELL = {"live": True, "ready": True, "services": True}


def text(answer: Answer) -> str:
    return json.dumps(answer.as_json())


def test_a_process_that_hosts_nothing_is_well_and_says_so() -> None:
    for ask in (live, ready, services):
        answer = ask(Subject(None))
        assert answer.status_code == 200
        assert answer.as_json()["hosts"] is False
        assert answer.as_json()["status"] == "ok"


def test_a_process_that_lacks_its_host_is_not_ready() -> None:
    subject = Subject(None, "the settings of its services are wrong")
    assert live(subject).status_code == 200
    assert ready(subject).status_code == 503
    assert services(subject).status_code == 503
    assert ready(subject).as_json() == {
        "status": "failing",
        "reasons": ["the settings of its services are wrong"],
        "hosts": True,
    }


def test_a_host_is_ready_from_its_start_to_the_moment_that_it_is_to_stop(
    journal: Journal,
) -> None:
    begin, end = CancellationToken(), CancellationToken()
    host = a_host(
        a_service("a", journal, start=Does(lambda _: begin.wait()), stop=Does(lambda _: end.wait()))
    )
    assert asked(host) == {**ALL_WELL, "ready": False}
    starting = Runner(host.start)
    journal.wait_for("a.start")
    assert asked(host) == {**ALL_WELL, "ready": False}
    assert ready(Subject(host)).reasons == ("its services are starting",)
    begin.cancel()
    starting.result()
    assert asked(host) == ALL_WELL

    stopping = Runner(host.stop)
    journal.wait_for("a.stop")
    assert asked(host) == {**ALL_WELL, "ready": False}
    assert ready(Subject(host)).reasons == ("its services are stopping",)
    end.cancel()
    stopping.result()
    assert ready(Subject(host)).reasons == ("its services have stopped",)


def test_it_is_unready_as_soon_as_it_is_asked_to_stop(journal: Journal) -> None:
    with a_host(a_service("a", journal)) as host:
        host.lifetime.stop()
        assert not ready(Subject(host)).is_good


def test_a_service_that_reports_ready_late_makes_it_unready_until_then(journal: Journal) -> None:
    service = Warming()
    with a_host(service, a_service("a", journal)) as host:
        assert ready(Subject(host)).reasons == ("Warming is not ready",)
        assert live(Subject(host)).is_good
        service.warm.cancel()
        until(lambda: ready(Subject(host)).is_good)


def test_a_service_that_has_completed_is_awaited_by_nobody(journal: Journal) -> None:
    service = a_service("a", journal, execute=Fine())
    type(service).reports_ready = True
    try:
        with a_host(service) as host:
            until_state(host, "a", ServiceState.COMPLETED)
            assert asked(host) == ALL_WELL
    finally:
        type(service).reports_ready = False


def test_a_service_that_failed_for_good_makes_it_worth_replacing(journal: Journal) -> None:
    service = supervised(a_service("a", journal, execute=Fails(ValueError())), restart="never")
    with a_host(service, stop_on_failure=False) as host:
        until(lambda: host.lifetime.failure)
        assert asked(host) == {"live": False, "ready": True, "services": False}
        assert live(Subject(host)).reasons == ("service 'a' failed for good",)
        assert services(Subject(host)).reasons == ("a is down: has failed",)


def test_so_does_a_start_that_failed_which_is_told_without_the_words_of_its_error(
    journal: Journal,
) -> None:
    host = a_host(a_service("a", journal, start=Fails(ValueError(SECRET))), stop_on_failure=False)
    with pytest.raises(ServiceStartError):
        host.start()
    assert asked(host) == {"live": False, "ready": False, "services": False}
    assert live(Subject(host)).reasons == ("service 'a' could not be started",)


def test_so_does_whatever_asks_for_another_process(journal: Journal) -> None:
    with a_host(a_service("a", journal), stop_on_failure=False) as host:
        host.lifetime.recycle("a thread is lost")
        assert live(Subject(host)).reasons == ("a thread is lost",)
        assert ready(Subject(host)).is_good


def test_so_does_a_service_that_is_stuck(journal: Journal) -> None:
    service = supervised(a_service("a", journal, execute=Polite()), watchdog=0.05)
    with a_host(service) as host:
        until(lambda: not live(Subject(host)).is_good)
        assert ready(Subject(host)).is_good
        [reason] = live(Subject(host)).reasons
        assert reason.startswith("a is stuck: no sign of life for ")


def test_a_service_that_is_degraded_or_run_again_only_needs_a_look(journal: Journal) -> None:
    service = a_service("a", journal, execute=Polite())
    with a_host(service) as host:
        service.degraded("slow")
        assert asked(host) == {**ALL_WELL, "services": False}


def test_every_service_is_told_of(journal: Journal) -> None:
    with a_host(a_service("a", journal, execute=Polite()), Warming()) as host:
        told = services(Subject(host)).as_json()
        assert (told["kind"], told["pid"], told["hosts"]) == ("worker", host.pid, True)
        first, second = told["services"]
        assert first.pop("since").startswith("20")
        assert first == {
            "name": "a",
            "state": "running",
            "ready": True,
            "restarts": 0,
            "healthy": True,
            "condition": "healthy",
            "reason": "",
            "last_error": None,
            "beat_at": None,
        }
        assert (second["name"], second["ready"]) == ("Warming", False)
        second_service = host._services[1].service
        second_service.warm.cancel()  # type: ignore[attr-defined]  # of the class made here


class Talkative(HostedService):
    """Tells a secret wherever it can."""

    def facts(self) -> Mapping[str, Any]:
        return {"url": SECRET}


def test_no_words_of_errors_and_services_are_told_to_everybody(journal: Journal) -> None:
    crashing = supervised(
        a_service("a", journal, execute=Fails(ValueError(SECRET))), restart="never"
    )
    talkative = Talkative()
    with a_host(crashing, talkative, stop_on_failure=False) as host:
        until_state(host, "a", ServiceState.FAILED)
        talkative.degraded(f"cannot reach {SECRET}")
        for ask in (live, ready, services):
            assert SECRET not in text(ask(Subject(host)))
        told = services(Subject(host)).as_json()
        assert told["services"][0]["last_error"] == "ValueError"
        assert "Talkative is degraded" in told["reasons"]

        detailed = services(Subject(host), detailed=True).as_json()
        assert detailed["services"][0]["last_error"] == f"ValueError: {SECRET}"
        assert detailed["services"][1]["facts"] == {"url": SECRET}
        assert f"Talkative is degraded: cannot reach {SECRET}" in detailed["reasons"]


class Asking(HostedService):
    """Cannot report on itself without asking somebody else."""

    def facts(self) -> Mapping[str, Any]:
        raise AssertionError("asked for facts")


def test_nobody_else_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    with a_host(Asking()) as host:
        assert asked(host) == ALL_WELL
    assert "cannot report" not in caplog.text
