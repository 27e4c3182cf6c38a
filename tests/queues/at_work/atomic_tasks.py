"""Atomic tasks: what they write, and what they do to the transaction that they are given."""

import sys
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any

from django.db import DatabaseError, IntegrityError, connection, transaction

from hosting import task
from hosting.queues import JobContext
from tests.queues.at_work.facts import AT_ONCE
from tests.queues.at_work.tasks import Mistake
from tests.queues.checking import check_at_the_commit
from tests.queues.tasks import calls, gates


def write(what: str, after: str | None = None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO at_work_effect (what, after) VALUES (%s, %s)", [what, after])


def write_and_call_back(what: str) -> None:
    write(what)
    transaction.on_commit(lambda: calls.append(what))
    note_effect.enqueue(f"after {what}")


@task
def note_effect(what: str) -> None:
    write(what)


@task(atomic=True)
def effect(what: str) -> str:
    write_and_call_back(what)
    return what


@task(atomic=True)
def effect_alone(what: str) -> None:
    write(what)


@task(atomic=True)
def note_atomically(what: str) -> None:
    calls.append(what)


@task(atomic=True)
def take_a_while_atomically(seconds: float) -> None:
    Event().wait(seconds)


@task(atomic=True)
def effect_at(gate: str) -> None:
    gates[gate].pass_through()
    write_and_call_back(gate)


@task(atomic=True, takes_context=True)
def effect_and_progress_at(context: JobContext, gate: str) -> None:
    write_and_call_back(gate)
    context.progress(1)
    gates[gate].pass_through()


@task(atomic=True, takes_context=True)
def run_until_told(context: JobContext) -> None:
    write_and_call_back("told")
    context.progress(1, of=2)
    context.token.wait(20)
    context.token.raise_if_cancelled()


@task(atomic=True, max_attempts=1)
def effect_and_fail(what: str) -> None:
    write_and_call_back(what)
    raise Mistake


@task(atomic=True, takes_context=True, max_attempts=2, backoff=AT_ONCE)
def effect_at_second(context: JobContext, what: str) -> None:
    write_and_call_back(what)
    if context.attempt == 1:
        raise Mistake


@task(atomic=True)
def roll_back(what: str) -> None:
    write_and_call_back(what)
    transaction.set_rollback(True)


@task(atomic=True)
def swallow_an_error(what: str) -> None:
    write_and_call_back(what)
    with suppress(DatabaseError), transaction.mark_for_rollback_on_error():  # as the ORM does
        write(what)


@task(atomic=True)
def swallow_a_duplicate(what: str) -> None:
    write_and_call_back(what)
    with suppress(IntegrityError):  # of which Django notes nothing
        write(what)


def fail_at_the_commit(what: str) -> None:
    """Write a row with which this is done at the end of the transaction."""
    check_at_the_commit(what)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO checked DEFAULT VALUES")


@task(atomic=True)
def raise_at_the_commit(what: str) -> None:
    write_and_call_back(what)
    fail_at_the_commit("RAISE EXCEPTION 'never'")


@task(atomic=True)
def miss_a_table_at_the_commit(what: str) -> None:
    write_and_call_back(what)
    fail_at_the_commit("PERFORM 1 FROM no_such_table")


@task(atomic=True)
def swallow_an_error_in_a_savepoint(what: str) -> None:
    write_and_call_back(what)
    with suppress(DatabaseError), transaction.atomic():
        write(what)


@task(atomic=True)
def close_the_connection(what: str) -> None:
    write_and_call_back(what)
    connection.close()


@task(atomic=True)
def leave_a_block_open(what: str) -> None:
    write_and_call_back(what)
    transaction.atomic().__enter__()


@task(atomic=True)
def violate_at_the_commit(what: str) -> None:
    write_and_call_back(what)
    write(f"{what} that refers", after="nobody")


@task(atomic=True)
def fail_in_a_partial_after_the_commit(what: str) -> None:
    write_and_call_back(what)
    transaction.on_commit(partial(sys.exit, what))


@task(atomic=True)
def fail_after_the_commit(what: str) -> None:
    def call_back() -> None:
        raise Mistake("too late")

    transaction.on_commit(call_back)
    write_and_call_back(what)


@task(atomic=True, takes_context=True, timeout=0.05)
def overrun_atomically(context: JobContext, what: str) -> None:
    write_and_call_back(what)
    assert context.token.wait(20)
    context.token.raise_if_cancelled()


@task(atomic=True, timeout=0.05)
def overrun_stubbornly_in_atomic(gate: str) -> None:
    write_and_call_back(gate)
    gates[gate].pass_through()


@task(atomic=True, takes_context=True)
def snooze_atomically(context: JobContext, what: str) -> None:
    write_and_call_back(f"{what} {context.attempt}")
    if context.attempt == 1:
        context.snooze(0)


@task(atomic=True)
def effect_free(what: Any = None) -> None:
    calls.append(what)
