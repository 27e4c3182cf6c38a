"""Fixtures for pytest, which finds them by the entry point `pytest11`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hosting.conf import HostingSettings
from hosting.host import Host
from hosting.services import HostedService
from hosting.testing import started


@pytest.fixture
def hosted(request: pytest.FixtureRequest) -> Iterator[Callable[..., Host]]:
    """Starts services in a host: `host = hosted(Poller(), settings=None)`.

    Every host is stopped at the end of the test, the latest first, before the database is emptied.
    An error while stopping fails the test.
    """
    if "transactional_db" in request.fixturenames:
        request.getfixturevalue("transactional_db")
    with ExitStack() as stack:

        def start(*services: HostedService, settings: HostingSettings | None = None) -> Host:
            return stack.enter_context(started(*services, settings=settings))

        yield start
