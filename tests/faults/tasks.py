"""Jobs that leave a row in `faults_log` for every time that they run."""

import os
import signal
import threading
from typing import Any

from django.db import connection

from hosting import task

MOMENT = 0.02


def _log(context: Any, number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO faults_log (job, number, pid, attempt) VALUES (%s, %s, %s, %s)",
            [context.task_result.id, number, os.getpid(), context.attempt],
        )


@task(takes_context=True)
def note(context: Any, number: int) -> None:
    """Its effect is a commit of its own."""
    _log(context, number)


@task
def nothing() -> None:
    """What schedules enqueue, whose slots tell enough."""


@task(takes_context=True, atomic=True)
def note_atomically(context: Any, number: int) -> None:
    """Its effect commits with its completion."""
    _log(context, number)


@task(takes_context=True)
def linger(context: Any, number: int, seconds: float) -> None:
    """Takes a while."""
    _log(context, number)
    context.token.wait(seconds)


@task(takes_context=True)
def linger_and_return(context: Any, number: int, seconds: float, characters: int) -> str:
    """Takes a while, and has a result that takes some room."""
    linger.func(context, number, seconds)
    return "x" * characters


@task(takes_context=True)
def linger_to_the_end(context: Any, number: int, seconds: float) -> None:
    """Takes a while, whoever tells it to end."""
    _log(context, number)
    threading.Event().wait(seconds)


@task(takes_context=True)
def wait_at_gate(context: Any, number: int, gate: str) -> int:
    """Ends when the test has opened the gate of this attempt; uses no database."""
    os.write(1, f"at gate {number} attempt {context.attempt}\n".encode())
    while not os.path.exists(f"{gate}.{context.attempt}"):
        context.token.wait(MOMENT)
    return os.getpid()


@task(takes_context=True, atomic=True)
def note_atomically_at_gate(context: Any, number: int, gate: str) -> None:
    """Its effect waits for the gate, and then for the commit."""
    _log(context, number)
    os.write(1, f"at gate {number} attempt {context.attempt}\n".encode())
    while not os.path.exists(f"{gate}.{context.attempt}"):
        context.token.wait(MOMENT)


@task(takes_context=True)
def die(context: Any, number: int) -> None:
    """Takes its process with it."""
    _log(context, number)
    os.kill(os.getpid(), signal.SIGKILL)


@task(takes_context=True, atomic=True)
def die_atomically(context: Any, number: int) -> None:
    """Takes its process with it, before anything of it has committed."""
    os.kill(os.getpid(), signal.SIGKILL)
