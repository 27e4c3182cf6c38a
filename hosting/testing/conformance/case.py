"""What an author states of a backend, and what all tests of the contract share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from functools import wraps
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from unittest import expectedFailure

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.test import override_settings
from django.utils import timezone
from django.utils.module_loading import import_string

from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS, BaseTaskBackend, TaskResult, task_backends
from hosting.testing.conformance.hearing import Heard, hearing

#: The module of the tasks, which is imported when the settings can be relied on: by a test.
TASKS_MODULE = "hosting.testing.conformance.tasks"

#: How often something is looked at that becomes so by itself (seconds).
LOOK_INTERVAL = 0.02

T = TypeVar("T")

# Runners collect every TestCase they see, so this is none until an author mixes it into one.
if TYPE_CHECKING:
    from django.test import SimpleTestCase as Base
else:
    Base = object


class ConformanceCase(Base):
    """What an author states of a backend. Only `run_all` must be written.

    Every test must find a queue without tasks: one that is not in the database of the tests is to
    be emptied in `setUp`.
    """

    #: The alias in TASKS. `override_settings(TASKS=...)` on the class says what is behind it.
    backend: ClassVar[str] = DEFAULT_TASK_BACKEND_ALIAS
    #: `run_all` executes in this process, so that signals of the execution can be heard here.
    in_process: ClassVar[bool] = True
    #: `enqueue` executes the task before it returns.
    immediate: ClassVar[bool] = False
    #: A task is enqueued in the caller's transaction on `database`, and exists if that commits.
    transactional: ClassVar[bool] = False
    database: ClassVar[str] = DEFAULT_DB_ALIAS
    #: A task that raises SystemExit fails, and ends nothing else.
    survives_exit: ClassVar[bool] = False
    #: OPTIONS with which a task that failed is attempted again, at least once.
    retry_options: ClassVar[Mapping[str, Any] | None] = None
    #: How long to wait for what is due later: another attempt, a `run_after` (seconds).
    patience: ClassVar[float] = 20.0
    #: Tests that are known to fail, each with the reason. One that passes is an error.
    known_deviations: ClassVar[Mapping[str, str]] = {}

    heard: Heard

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, reason in vars(cls).get("known_deviations", {}).items():
            setattr(cls, name, _expected_to_fail(getattr(cls, name), reason))

    def run_all(self) -> None:
        """Execute everything that is due, one task at a time, and return when it has ended."""
        raise NotImplementedError("A conformance test needs run_all().")

    def requeue(self, result: TaskResult[..., Any]) -> None:
        """Make a task that has failed due again; to be written if there are no `retry_options`."""
        self.skipTest("neither retry_options nor requeue() is there")

    def setUp(self) -> None:
        super().setUp()
        self.heard = self.enterContext(hearing())
        import_string(f"{TASKS_MODULE}.declare_for")(self.backend)

    # The backend

    @property
    def subject(self) -> BaseTaskBackend:
        """The backend that is tested, as this thread has it."""
        return task_backends[self.backend]

    def task(self, name: str) -> Any:
        """One of the tasks of the suite, found as a worker finds it."""
        return import_string(f"{TASKS_MODULE}.{name}")

    def make_task(self, function: Callable[..., Any], **kwargs: Any) -> Any:
        """A task of this function, as `@task` would make it."""
        params = {"priority": 0, "queue_name": self.task("add").queue_name, "run_after": None}
        return self.subject.task_class(
            func=function, backend=self.backend, **{**params, "takes_context": False, **kwargs}
        )

    def with_params(self, **params: Any) -> AbstractContextManager[Any]:
        """Other settings of the backend, such as its QUEUES, until the end of the block."""
        entry = {**settings.TASKS[self.backend], **params}
        return override_settings(TASKS={**settings.TASKS, self.backend: entry})

    def require(self, *flags: str) -> None:
        """Skip the test if the backend declares not to support this."""
        for flag in flags:
            if not getattr(self.subject, flag):
                self.skipTest(f"{flag} of the backend is False")

    def require_statement(self, name: str, value: bool = True) -> None:
        """Skip the test unless this was stated of the backend."""
        if bool(getattr(self, name)) is not value:
            self.skipTest(f"{name} of the test case is {getattr(self, name)!r}")

    # Execution

    def execute(self, name: str, *args: Any, **kwargs: Any) -> TaskResult[..., Any]:
        """Enqueue one of the suite's tasks, execute it, and return its final result."""
        return self.finish(self.task(name).enqueue(*args, **kwargs))

    def finish(self, result: TaskResult[..., Any]) -> TaskResult[..., Any]:
        """Execute what is due, and return what this result is now: it must have ended."""
        self.run_all()
        latest = self.latest(result)
        self.assertTrue(latest.is_finished, f"After run_all() a result is {latest.status}.")
        return latest

    def finish_later(self, result: TaskResult[..., Any]) -> TaskResult[..., Any]:
        """Execute until this result has ended, of which a part is due later."""
        deadline, pause = monotonic() + self.patience, Event()
        while monotonic() < deadline:
            self.run_all()
            latest = self.latest(result)
            if latest.is_finished:
                return latest
            pause.wait(LOOK_INTERVAL)
        self.fail(f"After {self.patience} s a result is still {latest.status}.")

    def latest(self, result: TaskResult[..., Any]) -> TaskResult[..., Any]:
        """A result as it is now, from wherever this backend tells it."""
        if self.subject.supports_get_result:
            return result.task.get_result(result.id)
        if told := self.heard.of(result):
            return result if self.immediate else told[-1].result
        self.skipTest("supports_get_result of the backend is False, and it sent no signal here")

    # Assertions and helpers

    def assert_time(self, value: datetime | None) -> datetime:
        """Assert that this is a datetime, aware if USE_TZ says so, and return it."""
        assert isinstance(value, datetime), f"{value!r} is no time."
        self.assertEqual(timezone.is_aware(value), settings.USE_TZ, f"{value!r} and USE_TZ")
        return value

    def assert_none_started(self) -> None:
        """Assert that nothing was executed, as far as it can be heard here."""
        self.assertEqual([each for each in self.heard if each.name != "enqueued"], [])

    def in_thread(self, function: Callable[[], T]) -> T:
        """Call the function on another thread, which has a backend and connections of its own."""

        def call() -> T:
            try:
                return function()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(call).result(self.patience)


def _expected_to_fail(test: Callable[..., None], reason: str) -> Callable[..., None]:
    @expectedFailure
    @wraps(test)
    def deviate(self: ConformanceCase) -> None:
        test(self)

    deviate.__doc__ = f"Known to fail: {reason}"
    return deviate
