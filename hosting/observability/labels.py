"""Values of labels, of which there are never many: each is a time series for ever."""

from __future__ import annotations

#: In the place of the path of a task that is not in the code.
UNKNOWN = "unknown"

#: In the place of all names after the first `MOST`.
OTHER = "other"

MOST = 100


class Labels:
    """Names that may be made at run time, such as those of queues."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, name: str) -> str:
        """The label for this name: itself, or `OTHER` once there are too many."""
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name
