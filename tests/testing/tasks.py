"""The tasks that the tests of the test kit enqueue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction

from hosting import Concurrency, Unique, task
from hosting.models import Limit

calls: list[Any] = []


@task
def note(what: Any) -> Any:
    calls.append(what)
    return what


@task
async def anote(what: Any) -> Any:
    """Writes a row, which the test is to see."""
    calls.append(what)
    await Limit.objects.acreate(key=f"anote {what}")
    return what


@task
def note_and_go_on(left: int) -> None:
    calls.append(left)
    if left:
        note_and_go_on.enqueue(left - 1)


@task
def for_ever() -> None:
    for_ever.enqueue()


@task
def fail(message: str = "as told") -> None:
    calls.append(message)
    raise LookupError(message)


@task(max_attempts=3)
def fail_twice() -> int:
    calls.append("attempt")
    if len(calls) < 3:
        raise LookupError(f"attempt {len(calls)}")
    return len(calls)


@task(takes_context=True)
def snooze_once(context: Any) -> int:
    if context.attempt == 1:
        context.snooze(timedelta(hours=1))
    return int(context.attempt)


@task(unique=True)
def once(what: str) -> None:
    calls.append(what)


@task(concurrency=Concurrency(1), rate="1/h")
def seldom(what: str) -> None:
    calls.append(what)


@task(expires=60)
def soon() -> None:
    calls.append("soon")


@task
def write(key: str) -> None:
    Limit.objects.create(key=key)


@task
def write_and_fail(key: str) -> None:
    Limit.objects.create(key=key)
    raise LookupError(key)


@task(atomic=True)
def write_and_fail_atomically(key: str) -> None:
    Limit.objects.create(key=key)
    raise LookupError(key)


@task(atomic=True)
def write_atomically(key: str) -> None:
    assert connection.in_atomic_block
    Limit.objects.create(key=key)


@task
def break_a_constraint(key: str) -> None:
    Limit.objects.create(key=key)
    Limit.objects.bulk_create([Limit(key=key)])


@task
def survive_a_constraint(key: str) -> str:
    Limit.objects.create(key=key)
    try:
        with transaction.atomic():
            Limit.objects.bulk_create([Limit(key=key)])
    except IntegrityError:
        return "survived"
    return "not refused"


@task
def write_and_leave_a_transaction_open(key: str) -> None:
    transaction.atomic().__enter__()
    Limit.objects.create(key=key)


@task(atomic=True)
def note_on_commit(what: str) -> None:
    transaction.on_commit(lambda: calls.append(what))


@task(unique=Unique(period=timedelta(days=1)))
def daily() -> None:
    calls.append("daily")


@task
def seem_to_close_the_connection() -> None:
    """Leaves what `close()` in a transaction leaves, but for the transaction that is lost."""
    connection.closed_in_transaction = True
