"""A backend of the task API that keeps the contract in memory, and others that break it in one way.

They show that `BackendConformance` passes what is right and finds what is wrong.
"""

from __future__ import annotations

import copy
import threading
from collections import Counter
from datetime import datetime
from traceback import format_exception
from typing import Any, ClassVar
from uuid import uuid4

from django.utils import timezone

from hosting.compat import (
    BaseTaskBackend,
    TaskContext,
    TaskError,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultStatus,
    normalize_json,
    task_enqueued,
    task_finished,
    task_started,
)

#: Shared by all threads: each has a backend of its own.
kept: dict[str, Any] = {}
#: How often each was begun; what a result says of that may be wrong.
begun: Counter[str] = Counter()


def change(result: Any, **values: Any) -> None:
    """Change a result, which is frozen for everyone but its backend."""
    for name, value in values.items():
        object.__setattr__(result, name, value)


class MemoryBackend(BaseTaskBackend):
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:
        self.validate_task(task)
        result = self.make(task, args, kwargs)
        self.keep(result)
        self.announce(task_enqueued, result)
        return copy.deepcopy(result)

    def get_result(self, result_id: str) -> Any:
        if result_id not in kept:
            raise TaskResultDoesNotExist(result_id)
        return copy.deepcopy(kept[result_id])

    def run_all(self) -> None:
        while due := [each for each in kept.values() if self.is_due(each)]:
            self.execute(min(due, key=self.rank))

    # Steps, each of which a subclass gets wrong

    def make(self, task: Any, args: Any, kwargs: Any) -> Any:
        return TaskResult(
            task=task,
            id=self.new_id(),
            status=TaskResultStatus.READY,
            enqueued_at=self.now(),
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )

    def new_id(self) -> Any:
        return uuid4().hex

    def now(self) -> datetime:
        return timezone.now()

    def keep(self, result: Any) -> None:
        kept[result.id] = result

    def announce(self, signal: Any, result: Any) -> None:
        signal.send(sender=type(self), task_result=result)

    def is_due(self, result: Any) -> bool:
        at = result.task.run_after
        return result.status == TaskResultStatus.READY and (at is None or at <= timezone.now())

    def rank(self, result: Any) -> Any:
        return (-result.task.priority, result.enqueued_at)

    def execute(self, result: Any) -> None:
        begun[result.id] += 1
        self.begin(result)
        self.announce(task_started, result)
        try:
            value = self.normalise(self.call(result))
        except BaseException as error:
            self.note(result, error)
            if begun[result.id] < self.options.get("MAX_ATTEMPTS", 1):
                change(result, status=TaskResultStatus.READY)
            else:
                self.end(result, TaskResultStatus.FAILED)
                self.announce(task_finished, result)
        else:
            change(result, _return_value=value)
            self.end(result, TaskResultStatus.SUCCESSFUL)
            self.announce(task_finished, result)

    def begin(self, result: Any) -> None:
        now = self.now()
        change(result, status=TaskResultStatus.RUNNING, last_attempted_at=now)
        change(result, started_at=result.started_at or now)
        result.worker_ids.append(str(threading.get_ident()))

    def call(self, result: Any) -> Any:
        context = [TaskContext(task_result=result)] if result.task.takes_context else []
        return result.task.call(*context, *result.args, **result.kwargs)

    def normalise(self, value: Any) -> Any:
        return normalize_json(value)

    def note(self, result: Any, error: BaseException) -> None:
        path = f"{type(error).__module__}.{type(error).__qualname__}"
        trace = "".join(format_exception(error))
        result.errors.append(TaskError(exception_class_path=path, traceback=trace))

    def end(self, result: Any, status: TaskResultStatus) -> None:
        change(result, status=status, finished_at=self.now())


class SendsItself(MemoryBackend):
    def announce(self, signal: Any, result: Any) -> None:
        signal.send(sender=self, task_result=result)


class SendsNothing(MemoryBackend):
    def announce(self, signal: Any, result: Any) -> None:
        """Tell nobody."""


class SendsTwice(MemoryBackend):
    def announce(self, signal: Any, result: Any) -> None:
        super().announce(signal, result)
        super().announce(signal, result)


class SendsAfterTheException(MemoryBackend):
    ended: ClassVar[list[Any]] = []

    def announce(self, signal: Any, result: Any) -> None:
        if signal is task_finished:
            self.ended.append(result)
        else:
            super().announce(signal, result)

    def execute(self, result: Any) -> None:
        super().execute(result)
        while self.ended:
            super().announce(task_finished, self.ended.pop())


class OverwritesStartedAt(MemoryBackend):
    def begin(self, result: Any) -> None:
        change(result, started_at=None)
        super().begin(result)


class KeepsRawArguments(MemoryBackend):
    def make(self, task: Any, args: Any, kwargs: Any) -> Any:
        result = super().make(task, args, kwargs)
        change(result, args=list(args), kwargs=kwargs)
        return result


class KeepsRawValues(MemoryBackend):
    def normalise(self, value: Any) -> Any:
        return value


class TakesAnything(MemoryBackend):
    def make(self, task: Any, args: Any, kwargs: Any) -> Any:
        try:
            return super().make(task, args, kwargs)
        except TypeError:
            return super().make(task, [repr(each) for each in args], {})


class RaisesKeyError(MemoryBackend):
    def get_result(self, result_id: str) -> Any:
        return copy.deepcopy(kept[result_id])


class LosesErrors(MemoryBackend):
    def note(self, result: Any, error: BaseException) -> None:
        """Forget it."""


class LosesTracebacks(MemoryBackend):
    def note(self, result: Any, error: BaseException) -> None:
        path = f"{type(error).__module__}.{type(error).__qualname__}"
        result.errors.append(TaskError(exception_class_path=path, traceback=str(error)))


class LosesWorkers(MemoryBackend):
    def begin(self, result: Any) -> None:
        super().begin(result)
        result.worker_ids.clear()


class KeepsPerThread(MemoryBackend):
    def get_result(self, result_id: str) -> Any:
        if threading.current_thread() is not threading.main_thread():
            raise TaskResultDoesNotExist(result_id)
        return super().get_result(result_id)


class IgnoresPriority(MemoryBackend):
    def rank(self, result: Any) -> Any:
        return result.enqueued_at


class IgnoresRunAfter(MemoryBackend):
    def is_due(self, result: Any) -> bool:
        return bool(result.status == TaskResultStatus.READY)


class GivesNumbers(MemoryBackend):
    def new_id(self) -> Any:
        return len(kept)


class GivesLongIds(MemoryBackend):
    def new_id(self) -> Any:
        return uuid4().hex * 2


class IgnoresTimeZones(MemoryBackend):
    def now(self) -> datetime:
        return timezone.now().replace(tzinfo=None)


class ValidatesNothing(MemoryBackend):
    def validate_task(self, task: Any) -> None:
        """Take any task."""


class NeverSaysRunning(MemoryBackend):
    def begin(self, result: Any) -> None:
        super().begin(result)
        change(result, status=TaskResultStatus.READY)


class DoesNotAwait(MemoryBackend):
    def call(self, result: Any) -> Any:
        context = [TaskContext(task_result=result)] if result.task.takes_context else []
        returned = result.task.func(*context, *result.args, **result.kwargs)
        if hasattr(returned, "close"):
            returned.close()
        return returned
