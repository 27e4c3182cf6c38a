"""Fills the tables of the queue with rows as they are after a day of work with a backlog."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model

from hosting.ids import uuid7_at
from hosting.models import Job, JobResult, LogLine

DAY, HOUR = 86_400.0, 3_600.0
QUEUES = ("default", "mail", "images", "reports", "rare")
TASKS = ("messages_app.tasks.prune_messages", "messages_app.tasks.write_messages")

#: Out of a thousand jobs, how many are in a state; the rest is ready.
STATES = {"waiting": 90, "blocked": 9, "held": 1, "running": 1}

#: Out of a thousand results, how many have failed.
FAILED = 3

_BATCH = 20_000


def fill(rows: int) -> None:
    """Add so many rows to each table, in the order of their ids, and update the statistics."""
    chance = random.Random(1)
    _copy(Job, (_job(at, chance) for at in _moments(rows, chance)))
    _copy(JobResult, (_result(at, chance) for at in _moments(rows, chance)))
    _copy(LogLine, (_line(*each, chance) for each in enumerate(_moments(rows, chance), 1)))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            connection.set_autocommit(True)
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("ANALYZE")


def _moments(rows: int, chance: random.Random) -> list[float]:
    """Half of them in the last hour, the others in the day before."""
    now = time.time()
    spans = (HOUR if number % 2 else DAY for number in range(rows))
    return sorted(now - span * chance.random() for span in spans)


def _enqueued(at: float, chance: random.Random) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at, UTC)
    return {
        "id": UUID(int=uuid7_at(at).int | chance.getrandbits(62)),
        "backend": "default",
        "queue_name": "rare" if chance.random() < 0.0001 else chance.choice(QUEUES[:4]),
        "rank": chance.choice((-10, 0, 0, 0, 10)),
        "task_path": chance.choice(TASKS),
        "args": f'["{chance.getrandbits(64):x}", {chance.randrange(1000)}]',
        "enqueued_at": moment,
    }


def _job(at: float, chance: random.Random) -> Job:
    number, state = chance.randrange(1000), "ready"
    for name, count in STATES.items():
        if number < count:
            state = name
            break
        number -= count
    values = _enqueued(at, chance)
    limit = f"limit {chance.randrange(100)}" if state == "blocked" else ""
    batch = values["id"] if state == "held" else None
    worker = f"host:{chance.randrange(20)}" if state == "running" else ""
    more = {"limit_key": limit, "batch_id": batch, "claimed_by": worker}
    return Job(**values, state=state, due_at=values["enqueued_at"], **more)


def _result(at: float, chance: random.Random) -> JobResult:
    began = at + chance.expovariate(1 / 2)
    moments = {
        "started_at": datetime.fromtimestamp(began, UTC),
        "claimed_at": datetime.fromtimestamp(began, UTC),
        "finished_at": datetime.fromtimestamp(began + chance.expovariate(10), UTC),
    }
    has_failed = chance.randrange(1000) < FAILED
    status = "FAILED" if has_failed else "SUCCESSFUL"
    errors = '[{"exception_class_path": "builtins.OSError", "traceback": "no"}]' * has_failed
    values = _enqueued(at, chance)
    return JobResult(**values, **moments, status=status, errors=errors or "[]", return_value="null")


def _line(key: int, at: float, chance: random.Random) -> LogLine:
    """Of a job, and one of a thousand of a service."""
    is_of_job = key % 1000 != 0
    return LogLine(
        id=key,
        service="TaskWorker",
        job_id=UUID(int=uuid7_at(at).int | chance.getrandbits(62)) if is_of_job else None,
        attempt=1 if is_of_job else None,
        process=f"host:{chance.randrange(20)}",
        made_at=datetime.fromtimestamp(at, UTC),
        level=chance.choice((20, 20, 20, 30, 40)),
        logger="shop.tasks",
        text=f"Something that is worth a line, number {chance.getrandbits(64):x}",
    )


def _copy(model: type[Model], rows: Iterable[Model]) -> None:
    fields = model._meta.concrete_fields
    values = (
        [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
        for row in rows
    )
    columns = ", ".join(f'"{field.column}"' for field in fields)
    table = f'"{model._meta.db_table}"'
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            raw: Any = cursor.cursor
            with raw.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in values:
                    copy.write_row([getattr(value, "obj", value) for value in row])
            return
        marks = ", ".join(["%s"] * len(fields))
        for batch in _batches(values):
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", batch)


def _batches(rows: Iterator[list[Any]]) -> Iterator[Sequence[list[Any]]]:
    batch: list[list[Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch
