"""`HostedService`: its defaults, and what it finds wrong with OPTIONS."""

from __future__ import annotations

import pytest

from hosting.cancellation import CancellationToken
from hosting.services import BackgroundService, HostedService


class Configured(HostedService):
    def __init__(self, url: str, retries: int = 3) -> None: ...


class Open(HostedService):
    def __init__(self, **anything: object) -> None: ...


def test_every_method_of_a_service_may_be_left_out() -> None:
    service, token = HostedService(), CancellationToken()
    for hook in ("starting", "start", "started", "stopping", "stop", "stopped"):
        assert getattr(service, hook)(token) is None
    assert service.close() is None
    assert service.facts() == {}


def test_a_background_service_needs_execute() -> None:
    with pytest.raises(TypeError, match="execute"):
        BackgroundService()


@pytest.mark.parametrize(
    ("service", "options"),
    [
        (HostedService, {}),
        (Configured, {"url": "x"}),
        (Configured, {"url": "x", "retries": 1}),
        (Open, {"whatever": 1}),
    ],
)
def test_options_that_fit_the_constructor_are_sound(
    service: type[HostedService], options: dict[str, object]
) -> None:
    assert list(service.check_options(options)) == []


@pytest.mark.parametrize(
    ("service", "options", "words"),
    [
        (HostedService, {"x": 1}, ["'x'", "allowed: no options"]),
        (Configured, {}, ["'url'", "allowed: 'url', 'retries'"]),
        (Configured, {"url": "x", "retrys": 1}, ["'retrys'", "did you mean 'retries'?"]),
        (Configured, {"url": "x", "self": 1}, ["'self'"]),
    ],
)
def test_options_that_do_not_fit_are_told_in_one_sentence(
    service: type[HostedService], options: dict[str, object], words: list[str]
) -> None:
    [found] = service.check_options(options)
    for word in words:
        assert word in found
