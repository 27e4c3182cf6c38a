"""What the suite of the stores does to jobs, in words; and how it moves time: by moving rows.

A store reads no clock but the database's, so a moment is brought on by writing an earlier one into
the row that waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from hosting.compat import TaskError
from hosting.ids import uuid7
from hosting.models import HostProcess, Job, JobResult, JobState, Limit, Reservation
from hosting.queues.stores.base import Store
from hosting.queues.stores.postgresql import PostgreSQLStore
from hosting.queues.stores.values import (
    Claim,
    JobRecord,
    LimitRule,
    NewJob,
    Result,
    Settlement,
    Succeeded,
    Wanted,
)

HOUR = timedelta(hours=1)
BROKEN = TaskError(
    exception_class_path="builtins.ValueError",
    traceback="it's 100% \u2028 {'broken', \"so\"}\\ \x00\n",
)
OTHER = TaskError(exception_class_path="builtins.KeyError", traceback="]")


# Adding


def made_long_ago() -> UUID:
    """An id as one made a day ago, later than those made before it: what has it may be old."""
    return UUID(int=uuid7().int - (24 * 3600 * 1000 << 80))


def new_job(**values: Any) -> NewJob:
    """A job with these values; the rest is ordinary."""
    defaults = {
        "id": made_long_ago(),
        "backend": "default",
        "queue_name": "default",
        "priority": 0,
        "task_path": "tests.queues.tasks.add",
        "args": "[1, 2]",
        "kwargs": "{}",
    }
    return NewJob(**{**defaults, **values})


def add(store: Store, **values: Any) -> UUID:
    """Add a job; returns the id of the one that is there then."""
    [record] = store.add([new_job(**values)])
    return record.id


def add_some(store: Store, count: int, **values: Any) -> list[UUID]:
    """Add so many jobs in one call."""
    return [record.id for record in store.add([new_job(**values) for _ in range(count)])]


def one_at_a_time(key: str = "k", running: int = 1) -> LimitRule:
    return LimitRule(key=key, running=running)


# Claiming and settling


def wanted(limit: int = 100, **values: Any) -> Wanted:
    defaults = {"worker_id": "w", "backend": "default", "queues": None, "limit": limit}
    return Wanted(**{**defaults, **values})


def claim(store: Store, limit: int = 100, **values: Any) -> list[Claim]:
    return list(store.claim(wanted(limit, **values)))


def claim_one(store: Store, **values: Any) -> Claim:
    """Claim the only job that is ready."""
    [claimed] = claim(store, **values)
    return claimed


def settlement(claimed: Claim, result: Result | None = None, progress: str = "") -> Settlement:
    return Settlement(claimed.id, claimed.fence, result or Succeeded("null"), progress)


def settle(store: Store, claimed: Claim, result: Result | None = None, progress: str = "") -> bool:
    """Settle one attempt, as a success unless told otherwise; whether it was accepted."""
    return not store.settle([settlement(claimed, result, progress)]).refused


def finished(store: Store, result: Result | None = None, **values: Any) -> UUID:
    """A job that has ended, with success unless told otherwise."""
    job = add(store, **values)
    [claimed] = [each for each in claim(store) if each.id == job]
    assert settle(store, claimed, result)
    return job


def ids(claims: Iterable[Claim]) -> list[UUID]:
    return [each.id for each in claims]


def keeps_places(store: Store) -> bool:
    """Whether claims of this store begin where the last one ended."""
    return isinstance(store, PostgreSQLStore)


# Seeing


def record_of(store: Store, job: UUID) -> JobRecord:
    return store.get([job])[job]


def state_of(job: UUID) -> str | None:
    """What a job that has not ended waits for; None for one that has."""
    return Job.objects.filter(id=job).values_list("state", flat=True).first()


def states(jobs: Collection[UUID]) -> list[str | None]:
    return [state_of(job) for job in jobs]


WAITING, BLOCKED = JobState.WAITING.value, JobState.BLOCKED.value
READY, RUNNING = JobState.READY.value, JobState.RUNNING.value


# Moving time


def make_due(*jobs: UUID) -> None:
    """Have the time of these jobs come."""
    Job.objects.filter(id__in=jobs).update(due_at=timezone.now() - HOUR)


def make_old(job: UUID, by: timedelta) -> None:
    """Have a job have ended that long ago."""
    JobResult.objects.filter(id=job).update(finished_at=timezone.now() - by)


def let_die(*processes: str) -> None:
    """Have the time of these processes run out, as they did not renew it."""
    moment = timezone.now() - HOUR
    assert HostProcess.objects.filter(id__in=processes).update(alive_until=moment)


def let_reservations_end(by: timedelta = HOUR) -> None:
    """Have keys that are taken for a time become free."""
    Reservation.objects.update(until=timezone.now() - by)


def let_pass(seconds: float, key: str = "k") -> None:
    """Have so much time pass for the rate of this key."""
    free_at = Limit.objects.values_list("free_at", flat=True).get(key=key)
    assert free_at is not None
    Limit.objects.filter(key=key).update(free_at=free_at - timedelta(seconds=seconds))


def is_about(moment: datetime, other: datetime) -> bool:
    return abs(moment - other) < timedelta(minutes=1)


def at_once(function: Callable[[], Any]) -> Callable[[], Any]:
    """The function, which fails if it has to wait for what another transaction holds."""

    def call() -> Any:
        with connection.cursor() as cursor:
            is_mysql = connection.vendor == "mysql"
            wait = "innodb_lock_wait_timeout = 2" if is_mysql else "lock_timeout = '2s'"
            cursor.execute(f"SET {wait}")
        return function()

    return call


def can_skip_locked() -> bool:
    return connection.features.has_select_for_update_skip_locked
