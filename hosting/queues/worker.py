"""`TaskWorker`: the service that executes the jobs of the durable queue."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, ClassVar, cast

from hosting.cancellation import CancellationToken
from hosting.compat import DEFAULT_TASK_BACKEND_ALIAS, InvalidTaskBackend, task_backends
from hosting.conf.problems import allowed_names
from hosting.conf.values import positive_seconds
from hosting.exceptions import ConfigurationError
from hosting.queues.backends import DatabaseBackend
from hosting.queues.settling import Tally
from hosting.queues.shift import Duty, Shift
from hosting.queues.stoporder import StopOrder
from hosting.services.base import BackgroundService


class TaskWorker(BackgroundService):
    """Executes the jobs of a task backend, `concurrency` at a time.

    `backend` is an alias in TASKS. `queues` are the names of the queues to serve; default: those of
    the backend, or all if it names none. `poll_interval` is how often to look for jobs that other
    processes enqueued, in seconds; jobs enqueued in this process are noticed at once. Plain
    functions run on threads of the worker, coroutine functions on the host's event loop.

    Raises ValueError for options of a wrong kind.
    """

    reports_ready: ClassVar[bool] = True

    def __init__(
        self,
        backend: str = DEFAULT_TASK_BACKEND_ALIAS,
        queues: Collection[str] | None = None,
        concurrency: int = 4,
        poll_interval: float = 0.5,
    ) -> None:
        if found := list(_value_problems(backend, queues, concurrency, poll_interval)):
            raise ValueError("; ".join(found))
        self.backend = backend
        self.queues = queues
        self.concurrency = concurrency
        self.poll_interval = poll_interval
        self._order = StopOrder()
        self._tally = Tally()
        self._shift: Shift | None = None

    def execute(self, stopping: CancellationToken) -> None:
        """Serve until `stopping` is cancelled; raises `ConfigurationError` for a wrong backend."""
        if found := list(_backend_problems(self.backend, self.queues)):
            raise ConfigurationError("; ".join(found))
        backend = cast(DatabaseBackend, task_backends[self.backend])
        duty = Duty(
            service=self.name or type(self).__name__,
            backend=backend,
            queues=self._served(backend.queues),
            concurrency=self.concurrency,
            poll_interval=self.poll_interval,
            call=self._runtime.call,
            ready=self.ready,
            beat=self.beat,
            degraded=self.degraded,
            healthy=self.healthy,
            recycle=self.lifetime.recycle,
        )
        self._shift = Shift(duty, self._order, self._tally)
        self._shift.work(stopping)

    def stop(self, cancel: CancellationToken) -> None:
        """Have the jobs in hand ended, or handed back before `cancel` is cancelled."""
        self._order.give(cancel)

    @property
    def executed(self) -> int:
        """How many attempts of jobs were executed so far."""
        return self._tally.executed

    def when_executed(self, callback: Callable[[], object]) -> None:
        """Call `callback`, on the worker's own thread, whenever that number has grown.

        It must not wait. A second one takes the place of the first.
        """
        self._tally.told = callback

    def claim_no_more(self) -> None:
        """Begin no further job; those in hand go on, however long they take."""
        self._order.claims_no_more.cancel()

    @property
    def is_done(self) -> bool:
        """Whether it claims no more and has no job in hand."""
        return self._order.claims_no_more.is_cancelled and (
            self._shift is None or self._shift.is_done
        )

    def facts(self) -> Mapping[str, Any]:
        """Jobs in hand; attempts executed, failed among them; queues (None: the backend's)."""
        return {
            "running": self._shift.running if self._shift else 0,
            "executed": self._tally.executed,
            "failed": self._tally.failed,
            "queues": sorted(self.queues) if self.queues else None,
        }

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> Iterator[str]:
        problems = list(super().check_options(options))
        if not problems and cls.__init__ is TaskWorker.__init__:
            bound = inspect.signature(cls).bind(**options)
            bound.apply_defaults()
            given = bound.arguments
            problems = list(_value_problems(**given)) or list(
                _backend_problems(given["backend"], given["queues"])
            )
        yield from problems

    def _served(self, of_backend: Collection[str]) -> Collection[str] | None:
        served = self.queues or of_backend
        return sorted(served) if served else None


def _value_problems(
    backend: object, queues: object, concurrency: object, poll_interval: object
) -> Iterator[str]:
    if not isinstance(backend, str) or not backend:
        yield f"backend is {backend!r}, allowed: an alias in TASKS"
    if queues is not None and not _is_list_of_names(queues):
        yield f"queues is {queues!r}, allowed: a list of names, or None"
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        yield f"concurrency is {concurrency!r}, allowed: a whole number, 1 or more"
    try:
        positive_seconds(poll_interval)
    except ValueError as error:
        yield f"poll_interval is {poll_interval!r}, {error}"


def _is_list_of_names(value: object) -> bool:
    if not isinstance(value, (list, tuple, set, frozenset)) or not value:
        return False
    return all(isinstance(name, str) and name for name in value)


def _backend_problems(alias: str, queues: Collection[str] | None) -> Iterator[str]:
    known = sorted(task_backends)
    if alias not in known:
        yield f"backend is {alias!r}, which is not in TASKS, {allowed_names(alias, known)}"
        return
    try:
        backend = task_backends[alias]
    except InvalidTaskBackend as error:
        yield f"backend is {alias!r}, which cannot be used: {error}"
        return
    if not isinstance(backend, DatabaseBackend):
        path = f"{type(backend).__module__}.{type(backend).__qualname__}"
        yield (
            f"backend is {alias!r}, which is a {path}, allowed: one whose BACKEND is "
            "'hosting.queues.DatabaseBackend'"
        )
    elif backend.queues:
        for name in sorted(set(queues or ()) - backend.queues):
            listed = allowed_names(name, sorted(backend.queues))
            yield f"queues contains {name!r}, which is not in TASKS[{alias!r}]['QUEUES'], {listed}"
