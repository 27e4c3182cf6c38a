"""Fixtures of leases: what the rows say, and how time passes for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from hosting.models import Lease
from hosting.queues.stores.clock import ago
from tests.host.helpers import Journal, assert_no_threads_left


@pytest.fixture
def journal() -> Iterator[Journal]:
    yield Journal()
    assert_no_threads_left()


def row(name: str = "a") -> Lease:
    """The row of the lease."""
    return Lease.objects.get(name=name)


def outlive(name: str = "a") -> None:
    """Let the time pass for which the lease was renewed."""
    Lease.objects.filter(name=name).update(held_until=ago(timedelta(seconds=1)))


def take_away(name: str = "a", seconds: float = 3600) -> None:
    """Have another process take the lease, as it would once it is out of date."""
    lease = row(name)
    Lease.objects.filter(name=name).update(
        holder="elsewhere:1:x/1", token=lease.token + 1, held_until=ago(timedelta(seconds=-seconds))
    )


def give_back(name: str = "a") -> None:
    """Have that process give it back."""
    Lease.objects.filter(name=name).update(holder="", held_until=None)
