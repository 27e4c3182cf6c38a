"""The rows of the leases: who holds which, by the database's clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import connections, models, router
from django.db.models import F, Q

from hosting.cancellation import CancellationToken
from hosting.exceptions import LeaseLost
from hosting.fleet import STALE_AFTER
from hosting.queues.stores import store_for
from hosting.queues.stores.base import Store
from hosting.queues.stores.clock import DatabaseNow, ago
from hosting.services.lease import require_outermost


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """What a look shows of one lease."""

    name: str
    holder: str
    left: float  # seconds until it is out of date; 0 if it is free


class LeaseTable:
    """The leases in the database in which they are kept; `holder` is who asks.

    A transaction under a lease ends if nothing is heard for `silence` seconds before its commit.
    """

    def __init__(self, holder: str, silence: float = 2.0) -> None:
        self.holder = holder
        self._silence = silence

    @property
    def alias(self) -> str:
        """The database."""
        return router.db_for_write(self._model)

    def acquire(self, name: str, seconds: float) -> int | None:
        """Take a lease that is free or out of date for so many seconds; its token, or None."""
        free = Q(holder="") | Q(holder=self.holder) | Q(held_until__lt=DatabaseNow())
        # One that is locked is not waited for: when the connection is hung up meanwhile, the server
        # would go on waiting, and keep the connection for that.
        taken = self._rows.filter(free, self._store.unlocked(self._model, name)).update(
            holder=self.holder,
            token=F("token") + 1,
            held_since=DatabaseNow(),
            held_until=ago(timedelta(seconds=-seconds)),
        )
        return (
            self._mine.filter(name=name).values_list("token", flat=True).first() if taken else None
        )

    def renew(self, tokens: Mapping[str, int], seconds: float) -> Collection[str]:
        """Keep these leases for so many seconds from now; the names of those that are not ours."""
        ours = Q(pk__in=())
        for name, token in tokens.items():
            ours |= Q(name=name, token=token)
        until = ago(timedelta(seconds=-seconds))
        if self._mine.filter(ours).update(held_until=until) == len(tokens):
            return ()
        kept = dict(self._mine.filter(ours).values_list("name", "token"))
        return tokens.keys() - kept.keys()

    def release(self, name: str, token: int) -> None:
        """Give a lease back, if it is still ours."""
        self._mine.filter(name=name, token=token).update(holder="", held_until=None)

    def look(self, names: Collection[str]) -> tuple[list[LeaseRow], int]:
        """These leases, and how many processes stand by; rows that are missing are made."""
        standing_by = (
            self._processes.filter(is_standing_by=True, seen_at__gt=ago(STALE_AFTER))
            .order_by()
            .values("is_standing_by")
            .annotate(count=models.Count("id"))
            .values("count")
        )
        rows = list(
            self._rows.filter(name__in=names)
            .annotate(now=DatabaseNow(), standing_by=models.Subquery(standing_by))
            .values_list("name", "holder", "held_until", "now", "standing_by")
        )
        missing = sorted(set(names) - {row[0] for row in rows})
        if missing:
            new = [self._model(name=name) for name in missing]
            self._rows.bulk_create(new, ignore_conflicts=True)
        found = [LeaseRow(name, holder, _left(until, now)) for name, holder, until, now, _ in rows]
        found += [LeaseRow(name, "", 0.0) for name in missing]
        return found, max((row[4] or 0 for row in rows), default=0)

    @contextmanager
    def fenced(self, name: str, token: int) -> Iterator[None]:
        """A transaction that commits only if this lease has this token then; else `LeaseLost`.

        The lease is held on to for the commit alone, and may be renewed meanwhile. One that is
        left by somebody who is cut off before the commit ends by itself. Raises RuntimeError
        within another transaction, which would commit later.
        """
        require_outermost(self.alias)
        mine = self._mine.filter(name=name, token=token)
        with self._store.atomic():
            if not mine.exists():
                raise LeaseLost(name)
            yield
            self._store.end_when_silent(self._silence)
            if not self._store.holds(mine):
                raise LeaseLost(name)

    def hung_up_at(self, end: CancellationToken, seconds: float) -> AbstractContextManager[object]:
        """Hang up the connection of the block's statements at `end`, not to wait for ever."""
        return self._store.hung_up_at(end, seconds)

    def deadline(self, seconds: float) -> AbstractContextManager[None]:
        """Give the statements in the block so many seconds; then their connection is hung up."""
        return self._store.deadline(seconds)

    def close(self) -> None:
        """Close this thread's connection."""
        connections[self.alias].close()

    @property
    def _store(self) -> Store:
        return store_for(self.alias)

    # The models are looked up late: this module is imported while apps still load.

    @property
    def _model(self) -> Any:
        return apps.get_model("hosting", "Lease")

    @property
    def _rows(self) -> models.QuerySet[Any]:
        rows: models.QuerySet[Any] = self._model._base_manager.using(self.alias)
        return rows

    @property
    def _mine(self) -> models.QuerySet[Any]:
        return self._rows.filter(holder=self.holder)

    @property
    def _processes(self) -> models.QuerySet[Any]:
        return apps.get_model("hosting", "HostProcess")._base_manager.using(self.alias)


def _left(until: Any, now: Any) -> float:
    return 0.0 if until is None else max(0.0, float((until - now).total_seconds()))
