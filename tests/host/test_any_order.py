"""Whatever services do and in whatever order the host is asked: everything is closed once.

The property that all of the lifecycle comes down to. Services fail, hang until they are told, hang
for good, or are fine, in every method, as plain functions and as coroutines; the host is started,
stopped, asked to stop, and stopped from another thread and by its own services, in any order.
"""

from __future__ import annotations

from contextlib import suppress
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosting.cancellation import CancellationToken
from hosting.exceptions import HostingError
from hosting.host import Host
from hosting.services import ServiceState
from tests.host.helpers import (
    FLAVOURS,
    HOOKS,
    PATIENCE,
    Act,
    Deaf,
    Does,
    Fails,
    Fine,
    Journal,
    Polite,
    Runner,
    a_host,
    a_service,
    assert_no_threads_left,
    service_threads,
    supervised,
    until,
)

FINE, FAILS, POLITE, DEAF, ASKS = "fine", "fails", "polite", "deaf", "asks"
#: Mostly fine, or no host would ever come to its later steps.
KINDS = st.sampled_from([FINE] * 12 + [FAILS, POLITE, DEAF, ASKS])

PARTS = st.fixed_dictionaries(
    {
        "flavour": st.sampled_from(FLAVOURS),
        "restart": st.sampled_from(["never", "on-failure", "always"]),
        "acts": st.fixed_dictionaries(
            dict.fromkeys(HOOKS, KINDS),
            optional={"execute": st.sampled_from([FINE, FAILS, POLITE, POLITE, DEAF, ASKS])},
        ),
    }
)
STEPS = st.lists(
    st.sampled_from(["start", "stop", "ask", "stop elsewhere", "start elsewhere"]), max_size=4
)
STEPS |= STEPS.map(lambda steps: ["start", *steps])


def an_act(kind: str, release: CancellationToken, host: list[Host]) -> Act:
    acts = {
        FINE: Fine(),
        FAILS: Fails(ValueError("out of luck")),
        POLITE: Polite(),
        DEAF: Deaf(release),
        ASKS: Does(lambda _: host[0].stop()),
    }
    return acts[kind]


@pytest.mark.alone
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    parts=st.lists(PARTS, max_size=4),
    steps=STEPS,
    start_concurrently=st.booleans(),
    stop_concurrently=st.booleans(),
    stop_on_failure=st.booleans(),
)
def test_everything_is_closed_once(parts: list, steps: list[str], **options: bool) -> None:
    """Lifecycle 1 to 10."""
    journal, release = Journal(), CancellationToken()
    found: list[Host] = []
    services = [
        supervised(
            a_service(
                f"s{n}",
                journal,
                part["flavour"],
                **{method: an_act(kind, release, found) for method, kind in part["acts"].items()},
            ),
            restart=part["restart"],
            max_restarts=2,
        )
        for n, part in enumerate(parts)
    ]
    # Only who hangs for good is left behind, however slow the machine is.
    grace = 0.05 if any(map(_hangs, parts)) else PATIENCE
    with mock.patch("hosting.deadlines.GRACE", grace):
        host = a_host(*services, startup_timeout=0.03, shutdown_timeout=0.03, **options)
        found.append(host)
        try:
            _play(host, steps)
            if grace == PATIENCE:
                assert not service_threads()
            _assert_all_ended(host, journal, parts)
            _assert_only_deaf_ones_are_left(parts)
        finally:
            release.cancel()
    assert_no_threads_left()
    assert not any(journal.count(f"s{n}.close") > 1 for n in range(len(parts)))


def _play(host: Host, steps: list[str]) -> None:
    elsewhere: list[Runner] = []
    for step in [*steps, "stop"]:
        with suppress(HostingError, ExceptionGroup):
            match step:
                case "start":
                    host.start()
                case "stop":
                    host.stop()
                case "ask":
                    host.lifetime.stop()
                case "start elsewhere":
                    elsewhere.append(Runner(host.start))
                case "stop elsewhere":
                    elsewhere.append(Runner(host.stop))
    for runner in elsewhere:
        runner.end()
        assert runner.error is None or isinstance(runner.error, HostingError | ExceptionGroup)
    assert host.lifetime.stopped.wait(PATIENCE)


def _assert_all_ended(host: Host, journal: Journal, parts: list) -> None:
    """Closed once, asked to stop if started, and each hook called once at most."""
    assert host.lifetime.stop_requested.is_cancelled
    assert host.lifetime.stopping.is_cancelled
    began = host.lifetime.started.is_cancelled
    for n, _ in enumerate(parts):
        assert all(journal.count(f"s{n}.{hook}") <= 1 for hook in HOOKS), journal.lines
        assert host.services()[n].state in (ServiceState.STOPPED, ServiceState.FAILED)
        # A coroutine has no turn before the loop is closed if its time is over already.
        journal.wait_for(f"s{n}.close")
        if began:
            journal.wait_for(f"s{n}.stop")


def _hangs(part: dict) -> bool:
    return DEAF in part["acts"].values()


def _assert_only_deaf_ones_are_left(parts: list) -> None:
    if any(part["flavour"] == "async" and _hangs(part) for part in parts):
        return  # it hangs the loop, and with it every other coroutine
    deaf = {f"s{n}" for n, part in enumerate(parts) if _hangs(part)}
    until(lambda: {thread.name.split(":")[1] for thread in service_threads()} <= deaf)
