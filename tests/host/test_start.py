"""How a host starts: lifecycle 1, 2 and 3."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from hosting.cancellation import CancellationToken
from hosting.deadlines import GRACE
from hosting.exceptions import HostStateError, OperationCancelled, ServiceStartError
from hosting.host import Host
from hosting.services import BackgroundService, HostedService, ServiceState
from hosting.signals import host_started
from tests.host.helpers import (
    ASYNC,
    FLAVOURS,
    PATIENCE,
    PLAIN,
    Blocking,
    Deaf,
    Does,
    Fails,
    Fine,
    Journal,
    Polite,
    Runner,
    a_host,
    a_service,
    status,
    until_state,
)

STARTED_IN_ORDER = [
    *("a.starting", "b.starting", "c.starting"),
    *("a.start", "b.start", "c.start"),
    *("a.started", "b.started", "c.started"),
]
STOPPED_IN_REVERSE = [
    *("c.stopping", "b.stopping", "a.stopping"),
    *("c.stop", "b.stop", "a.stop"),
    *("c.stopped", "b.stopped", "a.stopped"),
    *("c.close", "b.close", "a.close"),
]


def three(journal: Journal, flavours: str, **acts_of_b: Any) -> list[HostedService]:
    """Services a, b and c; `flavours` has an A for each one that is made of coroutines."""
    kinds = [ASYNC if letter == "A" else PLAIN for letter in flavours]
    acts: list[dict[str, Any]] = [{}, acts_of_b, {}]
    return [
        a_service(label, journal, kind, **act)
        for label, kind, act in zip("abc", kinds, acts, strict=True)
    ]


@pytest.mark.parametrize("flavours", ["PPP", "AAA", "PAP", "APA"])
def test_every_hook_of_every_service_comes_in_order(journal: Journal, flavours: str) -> None:
    """Lifecycle 1 and 4: all starting, every start, all started; and back, in reverse."""
    with a_host(*three(journal, flavours)):
        assert journal.lines == STARTED_IN_ORDER
    assert journal.lines == STARTED_IN_ORDER + STOPPED_IN_REVERSE


def test_the_milestones_come_after_what_they_speak_of(journal: Journal) -> None:
    """Lifecycle 1 and 4: started last of the start; stopping first and stopped last of the stop."""
    host = a_host(*three(journal, "PAP"))
    for milestone in ("started", "stopping", "stopped"):
        token = getattr(host.lifetime, milestone)
        token.register(lambda milestone=milestone: journal.note(f"lifetime.{milestone}"))
    with host:
        pass
    assert journal.lines == [
        *STARTED_IN_ORDER,
        "lifetime.started",
        "lifetime.stopping",
        *STOPPED_IN_REVERSE,
        "lifetime.stopped",
    ]


def test_execute_begins_after_every_service_has_started(journal: Journal) -> None:
    """Lifecycle 1: a start that fails has run no work yet."""
    a = a_service("a", journal, execute=Polite())
    b = a_service("b", journal, ASYNC)
    with a_host(a, b):
        journal.wait_for("a.execute")
    assert journal.lines.index("a.execute") > journal.lines.index("b.started")


@pytest.mark.parametrize("hook", ["starting", "start", "started"])
def test_concurrent_services_start_together(journal: Journal, hook: str) -> None:
    """Lifecycle 1: with START_CONCURRENTLY each waits here for the other, and both go on."""
    both = threading.Barrier(2)

    def meet(token: CancellationToken) -> None:
        both.wait(PATIENCE)

    with a_host(
        a_service("a", journal, **{hook: Does(meet)}),
        a_service("b", journal, **{hook: Does(meet)}),
        start_concurrently=True,
    ):
        assert both.n_waiting == 0


def test_one_service_starts_after_the_other_by_default(journal: Journal) -> None:
    """Lifecycle 1: sequential unless START_CONCURRENTLY."""
    alone: list[bool] = []

    def look(token: CancellationToken) -> None:
        alone.append("b.start" not in journal.lines)

    with a_host(a_service("a", journal, start=Does(look)), a_service("b", journal)):
        assert alone == [True]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("act", [Blocking, Deaf])
def test_execute_never_delays_the_start(
    journal: Journal, release: CancellationToken, flavour: str, act: type[Deaf]
) -> None:
    """Lifecycle 2: whatever execute does before its first wait."""
    hung = a_service("hung", journal, flavour, execute=act(release))
    other = a_service("other", journal, execute=Polite())
    host = a_host(hung, other)
    host.start()
    journal.wait_for("hung.execute")
    journal.wait_for("other.execute")
    release.cancel()
    host.stop()


def test_a_coroutine_that_blocks_the_loop_does_not_delay_coroutines_of_the_start(
    journal: Journal, release: CancellationToken
) -> None:
    """Lifecycle 2: the hooks of the others run before any execute gets the loop."""
    blocking = a_service("blocking", journal, ASYNC, execute=Blocking(release))
    other = a_service("other", journal, ASYNC)
    host = a_host(blocking, other)
    host.start()
    assert "other.started" in journal.lines
    release.cancel()
    host.stop()


def test_a_service_is_ready_once_it_runs(journal: Journal) -> None:
    """Lifecycle 2: who does not report readiness is ready from the start."""
    host = a_host(a_service("a", journal, execute=Polite()))
    assert not status(host, "a").ready
    with host:
        assert status(host, "a").ready
    assert not status(host, "a").ready


class Reporting(BackgroundService):
    """Is ready when it is told that it may be."""

    reports_ready = True

    def __init__(self) -> None:
        self.may_be_ready = CancellationToken()
        self.said = CancellationToken()

    def execute(self, stopping: CancellationToken) -> None:
        self.may_be_ready.wait()
        self.ready()
        self.said.cancel()
        stopping.wait()


def test_a_service_that_reports_is_not_ready_before() -> None:
    """Lifecycle 2: reports_ready means not before `ready()`."""
    service = Reporting()
    with a_host(service) as host:
        assert not status(host, "Reporting").ready
        service.may_be_ready.cancel()
        assert service.said.wait(PATIENCE)
        assert status(host, "Reporting").ready
    assert not status(host, "Reporting").ready


@pytest.mark.parametrize("hook", ["start", "started"])
def test_readiness_reported_while_starting_counts_once_it_runs(hook: str) -> None:
    """Lifecycle 2: `start` may be where a service finds that it is ready."""

    class ReadyEarly(HostedService):
        reports_ready = True

    def report(self: HostedService, cancel: CancellationToken) -> None:
        self.ready()

    setattr(ReadyEarly, hook, report)
    with a_host(ReadyEarly()) as host:
        assert status(host, "ReadyEarly").ready


@pytest.mark.parametrize("flavours", ["PPP", "AAA", "PAP"])
@pytest.mark.parametrize(
    ("hook", "stopped"),
    [("starting", ""), ("start", "a"), ("started", "cba")],
)
def test_a_failing_start_rolls_back(
    journal: Journal, flavours: str, hook: str, stopped: str
) -> None:
    """Lifecycle 3: what had started is stopped in reverse, all are closed once, one error."""
    error = ValueError("no such host")
    host = a_host(*three(journal, flavours, **{hook: Fails(error)}))
    with pytest.raises(ServiceStartError, match=r"'b'.*ValueError\('no such host'\)") as caught:
        host.start()
    assert caught.value.service == "b"
    assert caught.value.__cause__ is error
    after = journal.lines[journal.lines.index(f"b.{hook}") + 1 :]
    assert after == [
        *(f"{label}.stopping" for label in stopped),
        *(f"{label}.stop" for label in stopped),
        *(f"{label}.stopped" for label in stopped),
        *("c.close", "b.close", "a.close"),
    ]
    assert host.lifetime.stopped.is_cancelled
    assert not host.lifetime.started.is_cancelled


def test_no_execute_runs_when_the_start_fails(journal: Journal) -> None:
    """Lifecycle 3: no work was done."""
    host = a_host(
        a_service("a", journal, execute=Polite()),
        a_service("b", journal, started=Fails(ValueError())),
    )
    with pytest.raises(ServiceStartError):
        host.start()
    assert journal.count("a.execute") == 0


def test_a_failed_start_tells_who_failed_and_who_did_not(journal: Journal) -> None:
    """Lifecycle 3: the states after a failed start."""
    host = a_host(*three(journal, "PPP", start=Fails(ValueError("no"))))
    with pytest.raises(ServiceStartError):
        host.start()
    states = {found.name: found.state for found in host.services()}
    assert states == {
        "a": ServiceState.STOPPED,
        "b": ServiceState.FAILED,
        "c": ServiceState.STOPPED,
    }
    assert status(host, "b").last_error == "ValueError: no"


def test_a_failure_while_rolling_back_is_logged_and_the_first_error_raised(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Lifecycle 3: the error is the one of the start; the others are told in the log."""
    host = a_host(
        a_service("a", journal, stop=Fails(KeyError("while stopping"))),
        a_service("b", journal, start=Fails(ValueError("while starting"))),
    )
    with pytest.raises(ServiceStartError, match="while starting"):
        host.start()
    assert "while stopping" in caplog.text
    assert journal.count("a.close") == journal.count("b.close") == 1


def test_every_failure_of_a_concurrent_start_is_told(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """Lifecycle 3: one error is raised; with START_CONCURRENTLY the log has the others too."""
    host = a_host(
        a_service("a", journal, start=Fails(ValueError("of a"))),
        a_service("b", journal, start=Fails(ValueError("of b"))),
        start_concurrently=True,
    )
    with pytest.raises(ServiceStartError, match="of a"):
        host.start()
    assert "of a" in caplog.text
    assert "of b" in caplog.text
    assert journal.count("a.close") == journal.count("b.close") == 1


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_start_that_takes_too_long_is_named_with_its_stack(
    journal: Journal, release: CancellationToken, caplog: pytest.LogCaptureFixture, flavour: str
) -> None:
    """Lifecycle 3: STARTUP_TIMEOUT; its token is cancelled, the laggard is in the log."""
    slow = a_service("slow", journal, flavour, start=Deaf(release))
    host = a_host(a_service("a", journal), slow, startup_timeout=0.5)
    with pytest.raises(ServiceStartError, match=r"'slow'.*STARTUP_TIMEOUT"):
        host.start()
    [record] = [found for found in caplog.records if "has not started" in found.getMessage()]
    assert "'slow'" in record.getMessage()
    assert "self.release.wait" in record.getMessage(), "the stack does not show where it hangs"
    assert journal.lines[-4:] == ["a.stop", "a.stopped", "slow.close", "a.close"]
    assert status(host, "slow").state is ServiceState.FAILED


def test_a_start_that_heeds_its_token_ends_in_the_grace(journal: Journal) -> None:
    """Lifecycle 3: the token passed to `start` is cancelled at STARTUP_TIMEOUT."""
    host = a_host(a_service("slow", journal, start=Polite()), startup_timeout=0.05)
    with pytest.raises(ServiceStartError, match="STARTUP_TIMEOUT"):
        host.start()
    assert journal.count("slow.close") == 1


@pytest.mark.alone
def test_laggards_of_a_concurrent_start_share_one_grace(
    journal: Journal, release: CancellationToken
) -> None:
    """Lifecycle 3: ten that hang cost no more time than one."""
    host = a_host(
        *(a_service(f"slow-{n}", journal, start=Deaf(release)) for n in range(10)),
        startup_timeout=0.05,
        start_concurrently=True,
    )
    began = time.monotonic()
    with pytest.raises(ServiceStartError):
        host.start()
    assert time.monotonic() - began < 4 * GRACE


def test_a_second_start_says_so(journal: Journal) -> None:
    """Lifecycle 7: start twice is an error, and the host runs on."""
    with a_host(a_service("a", journal)) as host:
        with pytest.raises(HostStateError, match="started once"):
            host.start()
        assert status(host, "a").state is ServiceState.RUNNING
    assert journal.count("a.start") == 1


@pytest.mark.parametrize("hook", ["starting", "start", "started"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_host_can_be_stopped_while_it_starts(journal: Journal, hook: str, flavour: str) -> None:
    """Lifecycle 7: from another thread; start raises OperationCancelled, stop waits for the end."""
    host = a_host(a_service("a", journal), a_service("b", journal, flavour, **{hook: Polite()}))
    starting = Runner(host.start)
    journal.wait_for(f"b.{hook}")
    host.stop()
    with pytest.raises(OperationCancelled):
        starting.result()
    assert journal.count("a.close") == journal.count("b.close") == 1
    assert not host.lifetime.started.is_cancelled
    assert host.lifetime.stopped.is_cancelled


def test_a_start_that_fails_while_the_host_stops_is_not_lost(journal: Journal) -> None:
    """Lifecycle 3 and 9: asked to stop or not, what failed by itself is told."""

    def ask_and_fail(token: CancellationToken) -> None:
        host.lifetime.stop()
        raise ValueError("no such host")

    host = a_host(a_service("a", journal, start=Does(ask_and_fail)))
    with pytest.raises(ServiceStartError, match="no such host"):
        host.start()


def test_the_start_is_announced(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    """Lifecycle 1: by the signal host_started and in the log."""
    heard: list[Host] = []

    def hear(sender: type, host: Host, **_: Any) -> None:
        heard.append(host)

    host_started.connect(hear)
    caplog.set_level(logging.INFO)
    try:
        with a_host(a_service("a", journal), a_service("b", journal)) as host:
            assert heard == [host]
            assert "Hosting a, b" in caplog.text
    finally:
        host_started.disconnect(hear)


def test_a_host_of_nothing_starts_and_stops() -> None:
    for concurrently in (False, True):
        with a_host(start_concurrently=concurrently, stop_concurrently=concurrently) as host:
            assert host.services() == []
        assert host.lifetime.stopped.is_cancelled


def test_a_service_without_a_token_in_its_hooks_is_called_all_the_same() -> None:
    class Bare(HostedService):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def starting(self) -> None:
            self.calls.append("starting")

        async def stopped(self) -> None:
            self.calls.append("stopped")

    bare = Bare()
    with a_host(bare):
        pass
    assert bare.calls == ["starting", "stopped"]


def test_a_service_that_has_returned_from_execute_is_completed(journal: Journal) -> None:
    """Lifecycle 8: a normal end."""
    with a_host(a_service("a", journal, execute=Fine())) as host:
        until_state(host, "a", ServiceState.COMPLETED)
    assert status(host, "a").state is ServiceState.STOPPED
