"""Jobs that take a while."""

import os
import threading
from typing import Any

from hosting import OperationCancelled
from hosting.compat import task
from tests.projects.telling import write_fact


@task
def takes_a_second() -> None:
    os.write(1, b"job begins\n")
    threading.Event().wait(1)
    os.write(1, b"job ends\n")


@task(takes_context=True)
def ends_when_told(context: Any) -> None:
    os.write(1, b"job begins\n")
    context.token.wait()
    raise OperationCancelled("told to end")


@task
def never_ends() -> None:
    os.write(1, b"job begins\n")
    threading.Event().wait()


@task
def takes_memory() -> None:
    kept.append(bytearray(200 * 1024 * 1024))


kept: list[bytearray] = []


@task
def writes_a_fact(name: str) -> None:
    write_fact(name, "executed")
