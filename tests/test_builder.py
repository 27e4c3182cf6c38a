"""From the project's declaration to a host that is ready to start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hosting.builder import build_host
from hosting.exceptions import ConfigurationError
from hosting.fleet import FleetReporter
from hosting.host import Host
from hosting.services import HostedService
from tests.conf import samples
from tests.host.helpers import assert_no_threads_left

HERE = "tests.conf.samples"


@pytest.fixture(autouse=True)
def declared(settings: Any) -> Iterator[None]:
    settings.HOSTED_SERVICES = [
        {"SERVICE": f"{HERE}.Alpha", "RUN_IN": ["web"]},
        {
            "SERVICE": f"{HERE}.Configured",
            "NAME": "configured",
            "OPTIONS": {"url": "x"},
            "RESTART": "always",
            "STOP_TIMEOUT": 3,
            "WATCHDOG": 60,
        },
        {"SERVICE": f"{HERE}.Beta", "ENABLED": False},
        f"{HERE}.Timed",
    ]
    settings.HOSTING = {"MAX_RESTARTS": 7, "RESTART_PERIOD": 8, "SHUTDOWN_TIMEOUT": 9}
    samples.made.clear()
    yield
    assert_no_threads_left()


def built(kind: str = "worker", **choice: Any) -> list[str]:
    """The names of the services, without the host's own."""
    return [name for name in build_host(kind, **choice).names() if ":" not in name]


def test_a_host_has_what_its_kind_of_process_hosts() -> None:
    assert built("web") == ["Alpha", "configured", "Timed"]
    assert built("worker") == ["configured", "Timed"]


def test_the_report_to_the_fleet_starts_first_and_so_stops_last() -> None:
    host = build_host("worker")
    assert isinstance(host._services[0].service, FleetReporter)
    assert host.names()[0] == "hosting:fleet"


def test_building_starts_nothing() -> None:
    host = build_host("web")
    assert samples.made == ["Alpha"]
    assert {status.state for status in host.services()} == {"created"}


def test_each_service_has_its_options_and_its_policy() -> None:
    configured, timed = build_host("worker")._services[1:]
    assert isinstance(configured.service, samples.Configured)
    assert (configured.service.url, configured.service.retries) == ("x", 3)
    assert (configured.policy.restart, configured.policy.stop_timeout) == ("always", 3.0)
    assert (timed.policy.restart, timed.policy.stop_timeout) == ("on-failure", None)
    assert (configured.policy.watchdog, timed.policy.watchdog) == (60.0, None)
    for supervised in (configured, timed):
        assert supervised.policy.max_restarts == 7
        assert supervised.policy.restart_period == 8.0


def test_a_worker_stops_on_failure_and_a_web_process_does_not() -> None:
    """Lifecycle 8."""
    for kind, stops in (("worker", True), ("web", False)):
        host = build_host(kind)
        assert host.kind == kind
        assert host.settings.shutdown_timeout == 9
        host._service_failed(host._services[0])
        assert host.lifetime.stop_requested.is_cancelled is stops


def test_every_host_has_services_of_its_own() -> None:
    def services(host: Host) -> set[int]:
        return {id(supervised.service) for supervised in host._services}

    first, second = build_host("worker"), build_host("worker")
    assert not services(first) & services(second)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"only": ["Timed"]}, ["Timed"]),
        ({"only": ["Timed", "configured"]}, ["configured", "Timed"]),
        ({"exclude": ["Timed"]}, ["configured"]),
        ({"only": ["Timed", "configured"], "exclude": ["Timed"]}, ["configured"]),
    ],
)
def test_services_are_chosen_by_name(choice: dict[str, list[str]], names: list[str]) -> None:
    assert built(**choice) == names


@pytest.mark.parametrize(
    "choice",
    [{"only": ["Timed"], "exclude": ["Timed"]}, {"exclude": ["configured", "Timed"]}],
)
def test_a_choice_that_leaves_nothing_over_is_an_error(choice: dict[str, list[str]]) -> None:
    """Such a worker would run for ever, and do nothing."""
    with pytest.raises(ConfigurationError) as caught:
        build_host("worker", **choice)
    assert str(caught.value) == (
        "No service is left: of those that run in a worker, 'configured', 'Timed', --only and "
        "--exclude choose none, allowed: a choice of one or more."
    )


def test_a_project_without_services_hosts_none(settings: Any) -> None:
    settings.HOSTED_SERVICES = []
    assert built("worker") == []


@pytest.mark.parametrize("option", ["only", "exclude"])
@pytest.mark.parametrize("name", ["Alpha", "Beta", "timed", "hosting:fleet", ""])
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(option: str, name: str) -> None:
    """Also one that runs elsewhere, or that is not enabled."""
    with pytest.raises(ConfigurationError) as caught:
        build_host("worker", **{option: [name]})
    for word in (repr(name), "'configured'", "'Timed'", "worker"):
        assert word in str(caught.value)


def test_a_near_miss_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean 'Timed'\?"):
        build_host("worker", only=["timed"])


def test_extra_services_come_last() -> None:
    host = build_host("worker", extra={"extra": HostedService()})
    assert host.names() == ["hosting:fleet", "configured", "Timed", "extra"]
