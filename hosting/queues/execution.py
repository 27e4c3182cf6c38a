"""One attempt of one job: resolve, call, judge.

Whatever a task raises, SystemExit included, fails its job and nothing else; so does a row that is
damaged or whose path is no task. What is known of the attempt afterwards is one `Outcome`, which
whoever holds the job settles under the claim's fence, and announces only if that was accepted: a
claim that was lost meanwhile has no say in what becomes of the job.

`task_finished` is sent when a job has ended; an attempt that will be repeated is in the log
instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from hosting.backoff import Backoff
from hosting.cancellation import CANCELLATIONS, CancellationToken
from hosting.compat import Task, TaskContext, task_started
from hosting.exceptions import ArgumentError, HostingError
from hosting.queues.backends import DatabaseBackend
from hosting.queues.carrying import overrides_in
from hosting.queues.declared import ExecutionOptions, execution_options
from hosting.queues.hand import (
    JobInHand,
    Plan,
    RetryJob,
    SnoozeJob,
    progress_text,
)
from hosting.queues.listeners import has_listeners
from hosting.queues.outage import DATABASE_TROUBLE, PATIENCE
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.resolution import UnknownTask, resolve
from hosting.queues.stores.codec import DamagedJob, decode_dict, decode_list, encode_return_value
from hosting.queues.stores.duties import JobCancelled
from hosting.queues.stores.results import to_result
from hosting.queues.stores.values import Claim
from hosting.scope import Scope
from hosting.signals import attempt_ended, attempt_started

#: How long a job that failed waits for its next attempt (seconds).
RETRY_BACKOFF = Backoff(initial=1.0, maximum=600.0)

#: How long a job waits whose task is unknown here, where it is to wait for a deploy (seconds).
UNKNOWN_TASK_DELAY = 60.0


class JobExpired(HostingError):
    """The job was not started in the time in which it had to be."""


class JobTimedOut(HostingError):
    """The job did not end in its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext(TaskContext):  # type: ignore[misc,type-arg]  # the stubs do not know it is frozen
    """What a task with `takes_context` is told of its job, and may tell of it."""

    _job: JobInHand

    @property
    def token(self) -> CancellationToken:
        """Cancelled when the job is to end early: raise `OperationCancelled` then.

        If its worker stops, the job runs again; if it was cancelled, it ends; if its time was over,
        it has failed.
        """
        return self._job.token

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to end early."""
        return self._job.is_told_to_end

    def progress(self, n: float, of: float | None = None, message: str = "") -> None:
        """Tell how far the job is; it is stored now and then, and at the end."""
        self._job.progress = progress_text(n, of, message)

    def retry(self, after: float | timedelta | None = None) -> NoReturn:
        """End this attempt as failed; the next begins `after` seconds (None: by the backoff).

        Raises what no `except Exception` catches. If it was the last attempt, the job has failed.
        """
        raise RetryJob(after)

    def snooze(self, after: float | timedelta) -> NoReturn:
        """End this attempt without its having failed, and begin another after so many seconds."""
        raise SnoozeJob(after)


class Executor:
    """Makes attempts of jobs of one backend; may be shared by threads.

    `call` runs a coroutine function on the event loop.
    """

    def __init__(
        self,
        backend: DatabaseBackend,
        call: Callable[..., Any],
        backoff: Backoff = RETRY_BACKOFF,
    ) -> None:
        self._backend = backend
        self._settings = backend.settings
        self._call_on_loop = call
        self._backoff = backoff
        self._default = ExecutionOptions(
            max_attempts=self._settings.max_attempts, backoff=backoff.delay
        )
        self._plans: dict[str, Plan] = {}
        self.announces_start = self.is_observed = True

    def look_for_listeners(self) -> None:
        """Note whether anybody wants to know that jobs begin."""
        self.announces_start = has_listeners(task_started)
        self.is_observed = bool(attempt_started.receivers or attempt_ended.receivers)

    def prepare(self, job: JobInHand) -> Outcome | None:
        """Find out what the job is; its outcome, if it is not to be executed."""
        claim = job.claim
        try:
            job.plan = self._plans.get(claim.task_path) or self._plan(claim.task_path)
            overrides = claim.options and overrides_in(claim.options)
            job.options = self._options(job.plan.task, overrides)
            if claim.is_expired:
                raise JobExpired("It was not started before it expired.")
            # A job whose worker has died says so before it begins, in case it was the cause.
            if claim.deaths and not self._begin(claim):
                return Outcome(job, Ending.RELEASED, None)  # which is refused
        except DATABASE_TROUBLE as error:
            return Outcome(job, Ending.RELEASED, None, error=error)  # no attempt was made
        except BaseException as error:
            return self.judge(job, error)
        return None

    def attempt(self, job: JobInHand) -> Outcome:
        """Make one attempt of a job that is prepared, on this thread."""
        plan = job.plan
        assert plan is not None
        job.begin()
        if self.is_observed:
            attempt_started.send_robust(type(self._backend), job=job)
        try:
            value = self._call(plan, job)
            text = "null" if value is None else encode_return_value(job.claim.task_path, value)
            outcome = Outcome(job, Ending.SUCCEEDED, plan.task, text)
        except BaseException as error:
            outcome = self.judge(job, error)
        if self.is_observed:
            attempt_ended.send_robust(type(self._backend), job=job, outcome=outcome)
        return outcome

    def _begin(self, claim: Claim) -> bool:
        store = self._backend.store
        with store.deadline(PATIENCE):
            return store.upkeep.begin(claim.id, claim.fence)

    def _options(self, task: Task[..., Any], overrides: str) -> ExecutionOptions:
        return execution_options(task, overrides, self._settings.max_attempts, self._backoff)

    def _plan(self, path: str) -> Plan:
        return self._plans.setdefault(path, Plan(resolve(path)))

    def _call(self, plan: Plan, job: JobInHand) -> Any:
        claim = job.claim
        args, kwargs = _arguments(claim)
        if self.announces_start or plan.takes_context:
            result = to_result(claim.record, plan.task)
            if self.announces_start:
                task_started.send_robust(sender=type(self._backend), task_result=result)
            if plan.takes_context:
                args.insert(0, JobContext(task_result=result, _job=job))
        if plan.is_coroutine:
            return self._call_on_loop(_acall, plan.function, args, kwargs)
        return plan.function(*args, **kwargs)

    # Judge

    def judge(self, job: JobInHand, error: BaseException) -> Outcome:
        """What becomes of a job whose attempt has ended with this error.

        Whether a job that was cancelled runs again is for the store to say, which always knows.
        """
        task = job.plan.task if job.plan else None
        if isinstance(error, CANCELLATIONS) and job.is_told_to_end:
            return self._ended_early(job, task, error)
        if isinstance(error, SnoozeJob):
            return Outcome(job, Ending.SNOOZED, task, delay=error.seconds or 0.0)
        if isinstance(error, UnknownTask) and self._settings.unknown_tasks == "wait":
            return Outcome(job, Ending.SNOOZED, task, error=error, delay=UNKNOWN_TASK_DELAY)
        failures, options = job.claim.failures + 1, job.options or self._default
        asked = error if isinstance(error, RetryJob) else None
        if isinstance(error, FINAL) or not _will_retry(options, error, failures):
            return Outcome(job, Ending.FAILED, task, error=error)
        delay = asked.seconds if asked and asked.seconds is not None else options.backoff(failures)
        return Outcome(job, Ending.RETRYING, task, error=error, delay=delay)

    def _ended_early(
        self, job: JobInHand, task: Task[..., Any] | None, error: BaseException
    ) -> Outcome:
        if job.is_cancelled:
            cancelled = JobCancelled("It was cancelled while it ran.")
            return Outcome(job, Ending.FAILED, task, error=cancelled)
        if job.is_timed_out:
            return self.judge(job, JobTimedOut("It did not end in its time."))
        return Outcome(job, Ending.RELEASED, task, error=error)


def _will_retry(options: ExecutionOptions, error: BaseException, failures: int) -> bool:
    if isinstance(error, RetryJob):
        return failures < options.max_attempts
    return options.will_retry(error, failures)


#: What another attempt would meet again.
FINAL = (DamagedJob, ArgumentError, JobExpired, JobCancelled)


def _arguments(claim: Claim) -> tuple[list[Any], dict[str, Any]]:
    column = "args"
    try:
        args = [] if claim.args == "[]" else decode_list(claim.args)
        column = "kwargs"
        kwargs = {} if claim.kwargs == "{}" else decode_dict(claim.kwargs)
    except ValueError as error:
        reason = f"The row of job {claim.id} is damaged: {column}: {error}."
        raise DamagedJob(reason) from error
    return args, kwargs


async def _acall(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    async with Scope():
        return await function(*args, **kwargs)
