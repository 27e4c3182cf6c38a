"""The signals of tasks, as they were sent."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from django.dispatch import Signal

from hosting.compat import TaskResult, task_enqueued, task_finished, task_started

SIGNALS = {"enqueued": task_enqueued, "started": task_started, "finished": task_finished}


@dataclass(frozen=True, slots=True)
class Announcement:
    """One signal: `result` is as it was then, `handled` the exception that was being handled."""

    name: str
    sender: object
    result: TaskResult[..., Any]
    handled: BaseException | None


class Heard(list[Announcement]):
    """The signals that were sent, in their order."""

    def of(self, result: TaskResult[..., Any], name: str | None = None) -> list[Announcement]:
        """Those of one result, or those of one name among them."""
        return [each for each in self if each.result.id == result.id and name in (None, each.name)]


@contextmanager
def hearing() -> Iterator[Heard]:
    """Hear the signals of all tasks of this process until the end of the block."""
    heard = Heard()
    with ExitStack() as stack:
        for name, signal in SIGNALS.items():
            stack.enter_context(_connected(signal, _receiver(heard, name)))
        yield heard


def _receiver(heard: Heard, name: str) -> Callable[..., None]:
    def receive(sender: object, task_result: TaskResult[..., Any], **kwargs: object) -> None:
        # A backend may go on changing the result that it sent.
        result = copy.copy(task_result)
        heard.append(Announcement(name, sender, result, sys.exc_info()[1]))

    return receive


@contextmanager
def _connected(signal: Signal, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver, weak=False)
    try:
        yield
    finally:
        signal.disconnect(receiver)
