"""What settings of the tests point at: services of every kind, and things that are none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hosting.background import BackgroundTaskQueue
from hosting.cancellation import CancellationToken
from hosting.scope import Scope
from hosting.services import BackgroundService, HostedService, ScopedService, TimedService

made: list[str] = []
"""Names of the services that were constructed."""

queue = BackgroundTaskQueue()
number = 5


class Alpha(HostedService):
    def __init__(self) -> None:
        made.append(type(self).__name__)

    def start(self, cancel: CancellationToken) -> None:
        made.append(f"{self.name} started")


class Beta(Alpha):
    pass


class Timed(TimedService):
    interval = 60

    def tick(self, stopping: CancellationToken) -> None: ...


class Unset(TimedService):
    def tick(self, stopping: CancellationToken) -> None: ...


class Scoped(ScopedService):
    def work(self, scope: Scope, stopping: CancellationToken) -> None: ...


class Configured(HostedService):
    def __init__(self, url: str, retries: int = 3) -> None:
        self.url = url
        self.retries = retries


class Fussy(HostedService):
    def __init__(self) -> None:
        raise LookupError("no such file")


class Watched(HostedService):
    watchdog = "1 minute"  # type: ignore[assignment]  # wrong on purpose


class Judging(HostedService):
    """Judges its options, and fails to where they are too odd."""

    def __init__(self, size: Any = 1) -> None: ...

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        yield from super().check_options(options)
        if options.get("size", 1) < 1:
            yield f"size is {options['size']!r}, allowed: 1 or more"


class Abstract(BackgroundService):
    pass


class NotAService:
    pass


def function() -> None: ...
