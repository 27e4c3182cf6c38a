"""What every observer is: functions that are connected to what the core announces."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.dispatch import Signal


class Receivers:
    """Receivers by signal, connected from now on until they are closed."""

    def __init__(self, receivers: Mapping[Signal, Callable[..., None]]) -> None:
        self._receivers = receivers
        for signal, receive in receivers.items():
            signal.connect(receive, weak=False)

    def close(self) -> None:
        """Hear no more."""
        for signal, receive in self._receivers.items():
            signal.disconnect(receive)
