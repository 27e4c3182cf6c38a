"""What a service knows of the lease under which it runs (see `hosting.leadership`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

from django.apps import apps
from django.db import connections, router, transaction

from hosting.cancellation import CancellationToken


class Lease(ABC):
    """The right to be the one copy of a service in the fleet, for as long as it is renewed."""

    #: Grows each time that a process gets this lease; 0 without a lease. Whatever is written
    #: elsewhere with it can be refused there once a greater one was seen (a fencing token).
    token: int

    #: Cancelled when the lease is lost, or given back.
    lost: CancellationToken

    @property
    @abstractmethod
    def is_held(self) -> bool:
        """Whether no other process may have the lease at this moment."""

    @abstractmethod
    def fenced(self) -> AbstractContextManager[Any]:
        """A transaction in the database of the leases that commits only if the lease is held then.

        Leaving it raises `LeaseLost`, and nothing is written, once another process has the lease;
        entering it does so if it is known by then. A statement that hangs in it, as of somebody who
        is cut off, is hung up when the lease is lost. Raises RuntimeError within a transaction.
        """


class Unleased(Lease):
    """The lease of a service that needs none: always held."""

    token = 0

    def __init__(self) -> None:
        self.lost = CancellationToken()

    @property
    def is_held(self) -> bool:
        return True

    def fenced(self) -> AbstractContextManager[Any]:
        alias = router.db_for_write(apps.get_model("hosting", "Lease"))
        require_outermost(alias)
        return transaction.atomic(using=alias)


def require_outermost(alias: str) -> None:
    """Raise RuntimeError within a transaction, but for that of Django's `TestCase`."""
    connection: Any = connections[alias]
    blocks = connection.atomic_blocks
    if connection.in_atomic_block and not (blocks and blocks[-1]._from_testcase):
        raise RuntimeError(
            f"fenced() is within a transaction on {alias!r}, with which it would commit later, "
            "allowed: outside, as a transaction of its own."
        )
