"""A table that jobs write to, with a constraint that is checked at the commit; and what has atomic
jobs share their transactions.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from hosting.queues import atomic
from hosting.queues.pace import Pace, Room
from tests.queues.conftest import RunningWorker

Start = Callable[..., RunningWorker]


@pytest.fixture
def effect_table(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS at_work_effect")
        cursor.execute(
            "CREATE TABLE at_work_effect (what varchar(100) PRIMARY KEY, after varchar(100) "
            "REFERENCES at_work_effect (what) DEFERRABLE INITIALLY DEFERRED)"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE at_work_effect")


class Groups:
    """How many jobs each transaction of atomic jobs was begun with."""

    def __init__(self) -> None:
        self.sizes: list[int] = []


class Unlimited(Room):
    """Room for as many jobs as one transaction may have, however long they take."""

    def __init__(self, most: int, span: float) -> None:
        super().__init__(most, span)
        self.jobs = most

    def note(self, given: int, done: int, seconds: float) -> None:
        return None


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have jobs claimed together, and share a transaction, however long they take."""
    monkeypatch.setattr(atomic, "SPAN", 60.0)
    monkeypatch.setattr(Pace, "wanted", lambda self, idle, waiting: 100 if idle else 0)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, unhurried: None) -> Groups:
    """Have all jobs that are ready share a transaction, however long they take."""
    groups = Groups()
    transact = atomic.AtomicGroup._transact

    def note_and_transact(self: atomic.AtomicGroup, jobs: Any, put_back: Any) -> Any:
        groups.sizes.append(len(jobs))
        return transact(self, jobs, put_back)

    monkeypatch.setattr(atomic.AtomicGroup, "_transact", note_and_transact)
    monkeypatch.setattr(atomic, "Room", Unlimited)
    return groups


@pytest.fixture
def alone(worker: Start) -> Callable[[], RunningWorker]:
    return lambda: worker(concurrency=1)
