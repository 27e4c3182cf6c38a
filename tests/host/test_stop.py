"""How a host stops: lifecycle 4, 5, 6, 7 and 10."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from hosting.cancellation import CancellationToken
from hosting.deadlines import GRACE
from hosting.exceptions import HostStateError, ServiceStopError
from hosting.host import Host
from hosting.process.worker import exit_code
from hosting.services import BackgroundService, HostedService, ServiceState
from hosting.signals import host_stopped, service_state_changed
from tests.host.helpers import (
    ASYNC,
    FLAVOURS,
    HOOKS,
    PATIENCE,
    PLAIN,
    Act,
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
    on_threads,
    status,
    supervised,
)

#: What a stop may take beyond its budget: the laggard, and each later phase, has a grace.
SOME_GRACE = 5 * GRACE


def names_of(errors: ExceptionGroup[Any]) -> list[str]:
    return [error.service for error in errors.exceptions]


def stopped_with(host: Host) -> ExceptionGroup[Any]:
    """The errors of a stop that is to fail."""
    with pytest.raises(ExceptionGroup) as caught:
        host.stop()
    return caught.value


def laggards(caplog: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    return [message for message in messages if "has not stopped in its time" in message]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("hook", ["stopping", "stop", "stopped", "close"])
def test_every_service_is_asked_though_others_fail(
    journal: Journal, flavour: str, hook: str
) -> None:
    """Lifecycle 4: the errors come back as one ExceptionGroup, latest service first."""
    errors = [ValueError(label) for label in "abc"]
    host = a_host(
        *(
            a_service(label, journal, flavour, **{hook: Fails(error)})
            for label, error in zip("abc", errors, strict=True)
        )
    )
    host.start()
    group = stopped_with(host)
    assert names_of(group) == ["c", "b", "a"]
    assert all(isinstance(error, ServiceStopError) for error in group.exceptions)
    assert [error.__cause__ for error in group.exceptions] == errors[::-1]
    for label in "abc":
        assert all(journal.count(f"{label}.{called}") == 1 for called in HOOKS)


def test_what_execute_raises_at_the_end_is_an_error_of_the_stop(journal: Journal) -> None:
    """Lifecycle 4: a service that breaks while it is stopped did not stop cleanly."""

    def fail_at_the_end(stopping: CancellationToken) -> None:
        stopping.wait()
        raise ValueError("half a file")

    host = a_host(a_service("a", journal, execute=Does(fail_at_the_end)))
    host.start()
    group = stopped_with(host)
    assert names_of(group) == ["a"]
    assert "half a file" in str(group.exceptions[0])
    assert status(host, "a").state is ServiceState.FAILED


class RaisesAtTheEnd(Polite):
    """Goes on until its token is cancelled, and says so by raising."""

    def plain(self, token: CancellationToken) -> None:
        super().plain(token)
        token.raise_if_cancelled()

    async def coroutine(self, token: CancellationToken) -> None:
        await super().coroutine(token)
        token.raise_if_cancelled()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_execute_may_end_by_raising_that_it_was_cancelled(journal: Journal, flavour: str) -> None:
    """Lifecycle 4: `raise_if_cancelled` is a clean end."""
    with a_host(a_service("a", journal, flavour, execute=RaisesAtTheEnd())) as host:
        pass
    assert status(host, "a").state is ServiceState.STOPPED


def test_execute_may_end_by_asyncio_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    """Lifecycle 4: a coroutine whose task is cancelled at the stop has ended cleanly."""

    class CancelsItself(BackgroundService):
        async def execute(self, stopping: CancellationToken) -> None:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            stopping.register(lambda: loop.call_soon_threadsafe(task.cancel))
            await asyncio.Event().wait()

    with a_host(CancelsItself()) as host:
        pass
    assert status(host, "CancelsItself").state is ServiceState.STOPPED
    assert "crashed" not in caplog.text


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_execute_is_told_to_end_when_its_own_stop_is_called(journal: Journal, flavour: str) -> None:
    """Lifecycle 5: one after the other, so that a still works while b stops."""
    tokens: dict[str, bool] = {}

    def look(token: CancellationToken) -> None:
        tokens.update(a=a.stopping.is_cancelled, b=b.stopping.is_cancelled)

    a = supervised(a_service("a", journal, flavour, execute=Polite()))
    b = supervised(a_service("b", journal, execute=Polite(), stop=Does(look)))
    at_stopping: list[bool] = []
    c = a_service(
        "c", journal, stopping=Does(lambda _: at_stopping.append(b.stopping.is_cancelled))
    )
    with a_host(a, b, c):
        pass
    assert at_stopping == [False], "told to end before any stop was called"
    assert tokens["a"] is False, "told to end before its own stop was called"
    assert a.stopping.is_cancelled
    assert b.stopping.is_cancelled


def test_every_execute_is_told_to_end_at_once_when_stopping_concurrently(
    journal: Journal,
) -> None:
    """Lifecycle 5: with STOP_CONCURRENTLY at the moment the host begins to stop."""
    seen: list[bool] = []
    a = supervised(a_service("a", journal, execute=Polite()))
    b = supervised(a_service("b", journal, execute=Polite()))
    look = Does(lambda _: seen.append(a.stopping.is_cancelled and b.stopping.is_cancelled))
    c = a_service("c", journal, stopping=look)
    with a_host(a, b, c, stop_concurrently=True):
        assert not a.stopping.is_cancelled
    assert seen == [True]


@pytest.mark.parametrize("hook", ["stopping", "stop", "stopped", "close"])
def test_concurrent_services_stop_together(journal: Journal, hook: str) -> None:
    """Lifecycle 4: with STOP_CONCURRENTLY each waits here for the other, and both go on."""
    both = threading.Barrier(2)
    meet = Does(lambda _: both.wait(PATIENCE))
    with a_host(
        a_service("a", journal, **{hook: meet}),
        a_service("b", journal, **{hook: meet}),
        stop_concurrently=True,
    ):
        pass
    assert both.n_waiting == 0
    assert not both.broken


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("method", ["stopping", "stop", "stopped", "close", "execute"])
@pytest.mark.parametrize("concurrently", [False, True])
def test_a_laggard_is_named_with_its_stack_and_the_others_still_stop(
    journal: Journal,
    release: CancellationToken,
    caplog: pytest.LogCaptureFixture,
    flavour: str,
    method: str,
    concurrently: bool,
) -> None:
    """Lifecycle 6: one that hangs costs its time, and the stop of nobody else."""
    host = a_host(
        a_service("a", journal, execute=Polite()),
        a_service("b", journal, ASYNC, execute=Polite()),
        a_service("laggard", journal, flavour, **{method: Deaf(release)}),
        a_service("d", journal),
        shutdown_timeout=0.25,
        stop_concurrently=concurrently,
    )
    host.start()
    if method == "execute":
        journal.wait_for("laggard.execute")
    began = time.monotonic()
    group = stopped_with(host)
    assert time.monotonic() - began < 0.25 + SOME_GRACE
    assert set(names_of(group)) == {"laggard"}
    [found] = laggards(caplog)
    assert "'laggard'" in found
    assert "self.release.wait" in found, "the stack does not show where it hangs"
    for label in ("a", "b", "d"):
        assert all(journal.count(f"{label}.{called}") == 1 for called in HOOKS)
        assert status(host, label).state is ServiceState.STOPPED
    assert host.lifetime.stopped.is_cancelled


def test_a_coroutine_that_blocks_the_loop_is_named_and_the_plain_ones_still_stop(
    journal: Journal, release: CancellationToken, caplog: pytest.LogCaptureFixture
) -> None:
    """Lifecycle 6: its stack shows the very line that blocks."""
    host = a_host(
        a_service("a", journal),
        a_service("blocking", journal, ASYNC, execute=Blocking(release)),
        shutdown_timeout=0.25,
    )
    host.start()
    journal.wait_for("blocking.execute")
    began = time.monotonic()
    stopped_with(host)
    assert time.monotonic() - began < 0.25 + SOME_GRACE + 1.0  # and a second for the loop's thread
    assert status(host, "a").state is ServiceState.STOPPED
    assert any("'blocking'" in line and "self.release.wait" in line for line in laggards(caplog))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_token_of_stop_is_cancelled_at_the_deadline(journal: Journal, flavour: str) -> None:
    """Lifecycle 6: who heeds it ends, and whether that was in time is a matter of a moment."""
    host = a_host(a_service("slow", journal, flavour, stop=Polite()), shutdown_timeout=0.05)
    host.start()
    with suppress(ExceptionGroup):
        host.stop()
    assert journal.lines[-2:] == ["slow.stopped", "slow.close"]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("concurrently", [False, True])
def test_who_overran_has_a_grace_to_notice(
    journal: Journal, flavour: str, concurrently: bool
) -> None:
    """Lifecycle 6: the host goes on when it has tidied up, or when the grace is over."""

    class TidiesUp(Polite):
        def plain(self, token: CancellationToken) -> None:
            super().plain(token)
            CancellationToken().wait(0.01)
            journal.note("tidy")

        async def coroutine(self, token: CancellationToken) -> None:
            await super().coroutine(token)
            await CancellationToken().wait_async(0.01)
            journal.note("tidy")

    for _ in range(10):
        service = a_service("slow", journal, flavour, stop=TidiesUp())
        host = a_host(service, shutdown_timeout=0.01, stop_concurrently=concurrently)
        host.start()
        with suppress(ExceptionGroup):  # no error where the budget was spent before `stop`
            host.stop()
        assert journal.lines[-3:] == ["tidy", "slow.stopped", "slow.close"]


def test_stop_is_told_how_much_time_there_is(journal: Journal) -> None:
    """Lifecycle 6: the budget of the host, or the service's own STOP_TIMEOUT within it."""
    told: dict[str, float | None] = {}

    def tell(label: str) -> Does:
        return Does(lambda token: told.update({label: token.remaining}))

    own = supervised(a_service("own", journal, stop=tell("own")), stop_timeout=7.0)
    more = supervised(a_service("more", journal, stop=tell("more")), stop_timeout=900.0)
    with a_host(own, more, a_service("left", journal, stop=tell("left")), shutdown_timeout=60.0):
        pass
    assert 0 < (told["own"] or 0) <= 7.0
    assert 7.0 < (told["left"] or 0) <= 60.0
    assert 7.0 < (told["more"] or 0) <= 60.0, "STOP_TIMEOUT is within the budget, not beside it"


def test_a_service_may_have_less_time_than_the_host(
    journal: Journal, release: CancellationToken, caplog: pytest.LogCaptureFixture
) -> None:
    """Lifecycle 6: STOP_TIMEOUT is of one service; the others have what is left of the budget."""
    impatient = supervised(a_service("laggard", journal, stop=Deaf(release)), stop_timeout=0.05)
    host = a_host(a_service("a", journal), impatient, shutdown_timeout=PATIENCE)
    host.start()
    began = time.monotonic()
    assert names_of(stopped_with(host)) == ["laggard"]
    assert time.monotonic() - began < PATIENCE / 2
    assert len(laggards(caplog)) == 1
    assert status(host, "a").state is ServiceState.STOPPED


@pytest.mark.alone
@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("concurrently", [False, True])
def test_many_laggards_take_no_longer_than_one(
    journal: Journal, release: CancellationToken, count: int, concurrently: bool
) -> None:
    """Lifecycle 6: one budget; once it is spent, those that are left are asked all at once."""
    host = a_host(
        *(a_service(f"slow-{n}", journal, stop=Deaf(release)) for n in range(count)),
        shutdown_timeout=0.25,
        stop_concurrently=concurrently,
    )
    host.start()
    began = time.monotonic()
    group = stopped_with(host)
    assert time.monotonic() - began < 0.25 + SOME_GRACE
    assert sorted(names_of(group)) == [f"slow-{n}" for n in range(count)]
    assert all(journal.count(f"slow-{n}.close") == 1 for n in range(count))


def test_a_callback_that_hangs_on_the_token_of_stop_does_not_hang_the_host(
    journal: Journal, release: CancellationToken
) -> None:
    """Lifecycle 6: what a service registers is its own affair; the others keep their deadlines."""

    def register_and_hang(token: CancellationToken) -> None:
        # The host waits on this token already; the callback comes later, so it is called sooner.
        while not token._children:
            threading.Event().wait(0.001)
        token.register(release.wait)
        release.wait()

    host = a_host(
        a_service("a", journal),
        a_service("hangs", journal, stop=Does(register_and_hang)),
        shutdown_timeout=0.25,
    )
    host.start()
    stopping = Runner(lambda: stopped_with(host))
    try:
        assert host.lifetime.stopped.wait(PATIENCE / 4), "the host hangs with the callback"
        other = CancellationToken()
        other.cancel_after(0.01)
        assert other.wait(PATIENCE / 4), "no deadline of the process is kept any more"
    finally:
        release.cancel()
        stopping.end()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_host_can_be_stopped_before_it_starts(journal: Journal, flavour: str) -> None:
    """Lifecycle 7: everything is closed once, and a start afterwards is an error that says why."""
    host = a_host(a_service("a", journal, flavour), a_service("b", journal, execute=Polite()))
    host.stop()
    assert journal.count("a.close") == journal.count("b.close") == 1
    assert host.lifetime.stopped.is_cancelled
    assert {found.state for found in host.services()} == {ServiceState.STOPPED}
    with pytest.raises(HostStateError, match="stopped"):
        host.start()
    assert journal.count("a.start") == 0


def test_a_second_stop_does_nothing(journal: Journal) -> None:
    """Lifecycle 7: and the first one told all errors there were."""
    host = a_host(a_service("a", journal, stop=Fails(ValueError())))
    host.start()
    stopped_with(host)
    lines = journal.lines
    host.stop()
    assert journal.lines == lines


def test_a_host_is_stopped_from_many_threads_once(journal: Journal) -> None:
    """Lifecycle 7: each call returns when everything has stopped."""
    host = a_host(a_service("a", journal, execute=Polite()), a_service("b", journal, ASYNC))
    host.start()

    def stop() -> bool:
        host.stop()
        return host.lifetime.stopped.is_cancelled

    runners = on_threads(*[stop] * 8)
    assert [runner.result() for runner in runners] == [True] * 8
    assert all(journal.count(f"a.{hook}") == 1 for hook in HOOKS)


def test_only_one_of_many_threads_is_told_the_errors(journal: Journal) -> None:
    """Lifecycle 7: the first call raises what went wrong."""
    host = a_host(a_service("a", journal, stop=Fails(ValueError())))
    host.start()
    errors = [runner.error for runner in on_threads(*[host.stop] * 4)]
    assert [type(error) for error in errors if error] == [ExceptionGroup]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("method", ["starting", "start", "started", "execute"])
def test_a_service_may_stop_its_own_host(journal: Journal, flavour: str, method: str) -> None:
    """Lifecycle 7: from within, stop asks and returns at once, as waiting would be for itself."""
    service = a_service("a", journal, flavour, **{method: Does(lambda _: host.stop())})
    host = a_host(service, a_service("b", journal, ASYNC, execute=Polite()))
    Runner(host.run).result()
    assert journal.count("a.close") == journal.count("b.close") == 1
    assert host.lifetime.stopped.is_cancelled


@pytest.mark.parametrize("milestone", ["started", "stopping", "stopped", "stop_requested"])
def test_a_milestone_may_stop_the_host_in_the_midst_of_it(journal: Journal, milestone: str) -> None:
    """Lifecycle 7: stop within stop, on the very thread that stops, closes nothing twice."""
    host = a_host(a_service("a", journal, execute=Polite()), a_service("b", journal))
    getattr(host.lifetime, milestone).register(host.stop)
    host.start()
    host.stop()
    for hook in ("stopping", "stop", "stopped", "close"):
        assert journal.count(f"a.{hook}") == journal.count(f"b.{hook}") == 1


@pytest.mark.parametrize("state", ["starting", "running", "stopping", "stopped"])
def test_a_receiver_of_a_signal_may_stop_the_host(journal: Journal, state: str) -> None:
    """Lifecycle 7: as a signal handler does that interrupts the thread which starts or stops."""
    host = a_host(a_service("a", journal), a_service("b", journal))

    def stop(service: str, new: ServiceState, **_: Any) -> None:
        if new == state and service == "b":
            host.stop()

    service_state_changed.connect(stop)
    try:
        Runner(host.run).result() if state in ("starting", "running") else _start_and_stop(host)
    finally:
        service_state_changed.disconnect(stop)
    assert journal.count("a.close") == journal.count("b.close") == 1
    assert journal.count("a.stop") <= 1


def _start_and_stop(host: Host) -> None:
    with host:
        pass


def _from_a_coroutine(host: Host) -> None:
    async def ask() -> None:
        host.lifetime.stop()

    asyncio.run(ask())


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("method", ["start", "execute"])
def test_a_service_asks_its_host_to_stop(journal: Journal, flavour: str, method: str) -> None:
    """Lifecycle 10: `self.lifetime.stop()` from a plain function and from a coroutine."""
    service = a_service("a", journal, flavour, **{method: Does(lambda _: service.lifetime.stop())})
    host = a_host(service, a_service("b", journal, execute=Polite()))
    Runner(host.run).result()
    assert journal.count("a.close") == journal.count("b.close") == 1


@pytest.mark.parametrize(
    "ask", [lambda host: host.lifetime.stop(), _from_a_coroutine], ids=["thread", "coroutine"]
)
def test_anybody_asks_the_host_to_stop(journal: Journal, ask: Any) -> None:
    """Lifecycle 10: from a thread and from a coroutine of another loop; again does nothing."""
    host = a_host(a_service("a", journal, execute=Polite()))
    running = Runner(host.run)
    assert host.lifetime.started.wait(PATIENCE)
    for runner in on_threads(lambda: ask(host), lambda: ask(host)):
        runner.result()
    running.result()
    assert host.lifetime.stopped.is_cancelled


def test_a_host_asked_to_stop_before_it_runs_ends_at_once(journal: Journal) -> None:
    """Lifecycle 10: the wish is not forgotten."""
    host = a_host(a_service("a", journal))
    host.lifetime.stop()
    Runner(host.run).result()
    assert journal.count("a.close") == 1


@pytest.mark.parametrize(
    ("acts", "code"),
    [
        ({}, 0),
        ({"start": Fails(ValueError())}, 1),
        ({"stop": Fails(ValueError())}, 1),
        ({"execute": Fails(ValueError())}, 1),
        ({"execute": Fine()}, 0),
    ],
    ids=["fine", "start fails", "stop fails", "execute fails for good", "execute returns"],
)
def test_the_exit_code_is_0_only_for_a_clean_stop(
    journal: Journal, acts: dict[str, Act], code: int
) -> None:
    """Lifecycle 9: asked to stop, and everything stopped cleanly."""
    host = a_host(supervised(a_service("a", journal, **acts), restart="never"))
    if acts.keys() <= {"stop"} or code == 0:
        host.lifetime.started.register(host.lifetime.stop)
    assert Runner(lambda: exit_code(host)).result() == code


def test_the_stop_is_announced(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    """Lifecycle 4: by the signal host_stopped with the errors, and in the log."""
    heard: list[list[Exception]] = []

    def hear(sender: type, errors: list[Exception], **_: Any) -> None:
        heard.append(errors)

    host_stopped.connect(hear)
    caplog.set_level(logging.INFO)
    try:
        host = a_host(a_service("a", journal, stop=Fails(ValueError())))
        host.start()
        group = stopped_with(host)
    finally:
        host_stopped.disconnect(hear)
    assert heard == [list(group.exceptions)]
    assert re.search(r"Stopped hosting in worker process \d+, with 1 error", caplog.text)


def test_the_states_of_a_life_are_announced_in_order(journal: Journal) -> None:
    """Lifecycle 1 and 4: with the class as sender."""
    heard: list[tuple[type, str, str, str]] = []

    def hear(sender: type, service: str, old: ServiceState, new: ServiceState, **_: Any) -> None:
        heard.append((sender, service, old.value, new.value))

    service_state_changed.connect(hear)
    service = a_service("a", journal, PLAIN)
    try:
        with a_host(service):
            pass
    finally:
        service_state_changed.disconnect(hear)
    life = ["created", "starting", "running", "stopping", "stopped"]
    assert heard == [(type(service), "a", old, new) for old, new in itertools.pairwise(life)]


def test_a_receiver_that_raises_disturbs_nobody(journal: Journal) -> None:
    """The core announces; what an observer does is its own affair."""

    def fail(**_: Any) -> None:
        raise ValueError("a bug in an observer")

    service_state_changed.connect(fail)
    try:
        with a_host(a_service("a", journal, execute=Polite())) as host:
            assert status(host, "a").state is ServiceState.RUNNING
    finally:
        service_state_changed.disconnect(fail)
    assert journal.count("a.close") == 1


def test_a_bare_service_has_nothing_to_do_and_does_it() -> None:
    """Every method of `HostedService` has a default."""
    with a_host(HostedService()) as host:
        assert status(host, "HostedService").state is ServiceState.RUNNING


def test_side_by_side_the_hosts_own_services_stop_last(journal: Journal) -> None:
    """Others rely on them until they have stopped: their leases are renewed, for example."""

    def end_when_told(label: str) -> Act:
        def work(token: CancellationToken) -> None:
            token.wait()
            journal.note(f"{label} ends")

        return Does(work)

    def stop_slowly(_: CancellationToken) -> None:
        journal.wait_for("a ends")

    host = a_host(
        a_service("hosting:own", journal, execute=end_when_told("own")),
        a_service("a", journal, execute=end_when_told("a"), stop=Does(stop_slowly)),
        a_service("hosting:other", journal, execute=end_when_told("other")),
        stop_concurrently=True,
    )
    host.start()
    host.stop()
    assert [line for line in journal.lines if line.endswith(" ends")] == [
        "a ends",
        "other ends",
        "own ends",
    ]
