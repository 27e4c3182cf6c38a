"""Settings as a project may write them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps

from tests.conf import samples

Declare = Callable[..., None]


@pytest.fixture
def declare(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Declare these services and this `HOSTING`; `shipped` are those of an installed app."""

    def declare(services: Any = (), hosting: Any = None, shipped: Any = ()) -> None:
        settings.HOSTED_SERVICES = list(services) if services == () else services
        settings.HOSTING = {} if hosting is None else hosting
        config = apps.get_app_config("messages_app")
        monkeypatch.setattr(config, "hosted_services", shipped, raising=False)

    return declare


@pytest.fixture(autouse=True)
def nothing_made() -> list[str]:
    """What was constructed or started; empty at the beginning of a test."""
    samples.made.clear()
    return samples.made
