"""A thread that listens for new jobs in one database, for as long as somebody wants to know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType

from hosting.cancellation import CancellationToken
from hosting.threads import ServiceThread


class Listening(ABC):
    """Calls `ring`, on its thread, when there may be new jobs, as `Store.listening` says."""

    def __init__(self, alias: str, ring: Callable[[], bool]) -> None:
        self._alias = alias
        self._ring = ring
        self._closing = CancellationToken()

    def __enter__(self) -> bool:
        self._thread = ServiceThread(f"hosting:listen:{self._alias}", self._run)
        return True

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.cancel()
        self._interrupt()
        self._thread.part()

    @abstractmethod
    def _run(self) -> None:
        """Listen until `_closing` is cancelled."""

    @abstractmethod
    def _interrupt(self) -> None:
        """End what `_run` waits for beside the token."""
