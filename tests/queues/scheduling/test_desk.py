"""When a desk has its keeper look."""

from __future__ import annotations

import threading
from itertools import count
from typing import Any

import pytest

from hosting.queues.scheduling.desk import Desk
from hosting.queues.stores import store_for


class Looks:
    """Stands for a keeper: counts the looks, after each of which there is nothing for 10 s."""

    def __init__(self) -> None:
        self.store = store_for("default")
        self.count = 0

    def round(self) -> float:
        self.count += 1
        return 10.0


@pytest.mark.django_db
@pytest.mark.parametrize("reading", range(1, 5))
def test_a_change_is_looked_at_whenever_it_is_told_of(reading: int) -> None:
    """Told of on another thread, while this one reads the clock for such a time."""
    looks: Any = Looks()
    reads = count(1)

    def read() -> float:
        if next(reads) == reading:
            before.append(looks.count)
            ring()
        return 100.0

    before: list[int] = []
    desk = Desk("scheduler", looks, read)
    ring = desk.ring(threading.Event())
    while not before:
        desk.serve()
    desk.serve()
    assert looks.count == before[0] + 1
    assert desk.serve() == 10.0
