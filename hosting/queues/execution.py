"""One attempt of one job: open a scope, resolve, call, settle, announce.

Whatever a task raises, SystemExit included, fails its job and nothing else; so does a row that is
damaged or whose path is no task. What is known of the attempt afterwards is one `Outcome`. It is
settled first, under the claim's fence, and announced only if that was accepted: a claim that was
lost meanwhile has no say in what becomes of the job. While the database is away, settling is tried
again until the worker gives up, which is then in the log.

`task_finished` is sent when a job has ended; an attempt that will be repeated is in the log
instead.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hosting.backoff import Backoff
from hosting.cancellation import CANCELLATIONS, CancellationToken
from hosting.compat import Task, TaskContext, TaskResult, task_finished, task_started
from hosting.exceptions import ArgumentError
from hosting.queues.backends import DatabaseBackend
from hosting.queues.housekeeping import open_transactions, restore_connections
from hosting.queues.outage import DATABASE_TROUBLE, Outage
from hosting.queues.outcomes import Ending, Outcome
from hosting.queues.resolution import resolve
from hosting.queues.stores.base import Claim, JobRecord
from hosting.queues.stores.codec import DamagedJob, encode_return_value
from hosting.queues.stores.results import to_result
from hosting.scope import Scope

logger = logging.getLogger(__name__)

#: How long a job that failed waits for its next attempt (seconds).
RETRY_BACKOFF = Backoff(initial=1.0, maximum=600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext(TaskContext):  # type: ignore[misc,type-arg]  # the stubs do not know it is frozen
    """What a task with `takes_context` is told of its job."""

    #: Cancelled when the job is to end early: raise `OperationCancelled` then, and it runs again.
    token: CancellationToken

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to end early."""
        return self.token.is_cancelled


class Executor:
    """Executes claimed jobs of one backend for one service; may be shared by threads.

    `call` calls a function here or runs a coroutine function on the event loop. `give_up` is
    cancelled when outcomes that could not be stored yet are to be abandoned.
    """

    def __init__(
        self,
        service: str,
        backend: DatabaseBackend,
        call: Callable[..., Any],
        give_up: CancellationToken,
        backoff: Backoff = RETRY_BACKOFF,
    ) -> None:
        self._service = service
        self._backend = backend
        self._call_on_loop = call
        self._give_up = give_up
        self._backoff = backoff

    def execute(self, claim: Claim, token: CancellationToken) -> Outcome:
        """Make one attempt; `token` tells the task to end early."""
        with Scope():
            open_before = open_transactions()
            outcome = self._attempt(claim, token)
            restore_connections(open_before, **self._extra(claim))
            outcome = self._settle_surely(outcome)
            self._announce(outcome)
            return outcome

    # Resolve and call

    def _attempt(self, claim: Claim, token: CancellationToken) -> Outcome:
        task: Task[..., Any] | None = None
        try:
            task = _resolve(claim.record)
            value = self._call(task, claim.record, token)
        except BaseException as error:
            return self._judge(claim, task, error, token)
        try:
            text = encode_return_value(task.module_path, value)
        except ArgumentError as error:  # another attempt would return the same
            return Outcome(claim=claim, ending=Ending.FAILED, task=task, error=error)
        return Outcome(claim=claim, ending=Ending.SUCCEEDED, task=task, return_value=text)

    def _call(self, task: Task[..., Any], record: JobRecord, token: CancellationToken) -> Any:
        result = to_result(record, task)
        self._send(task_started, result)
        context = [JobContext(task_result=result, token=token)] if task.takes_context else []
        args = [*context, *record.args]
        if not inspect.iscoroutinefunction(task.func):
            return task.call(*args, **record.kwargs)
        return self._call_on_loop(_acall, task, args, record.kwargs)

    def _judge(
        self,
        claim: Claim,
        task: Task[..., Any] | None,
        error: BaseException,
        token: CancellationToken,
    ) -> Outcome:
        outcome = Outcome(claim=claim, ending=Ending.FAILED, task=task, error=error)
        if isinstance(error, CANCELLATIONS) and token.is_cancelled:
            return replace(outcome, ending=Ending.RELEASED)
        attempts = len(claim.record.errors) + 1
        if isinstance(error, DamagedJob) or attempts >= self._backend.settings.max_attempts:
            return outcome
        return replace(outcome, ending=Ending.RETRYING, delay=self._backoff.delay(attempts))

    # Settle

    def _settle_surely(self, outcome: Outcome) -> Outcome:
        try:
            return self._settle(outcome)
        except Exception as error:  # the database is there, but does not take this outcome
            failed = Outcome(
                claim=outcome.claim, ending=Ending.FAILED, task=outcome.task, error=error
            )
            return self._settle(failed)

    def _settle(self, outcome: Outcome) -> Outcome:
        outage = Outage(self._backend.store.alias, self._service)
        while True:
            try:
                settled = self._write(outcome, in_doubt=outage.has_begun)
            except DATABASE_TROUBLE as error:
                if self._give_up.wait(outage.note(error)):
                    return self._lose(outcome)
            else:
                outage.end()
                return settled

    def _write(self, outcome: Outcome, *, in_doubt: bool) -> Outcome:
        store, claim = self._backend.store, outcome.claim
        if outcome.ending is Ending.RELEASED:
            return replace(outcome, accepted=claim.id in store.release([claim]))
        settlement = outcome.settlement
        accepted = store.settle([settlement])
        if not accepted and in_doubt:
            # The commit may have succeeded although its answer was lost.
            record = store.get([claim.id]).get(claim.id)
            if record and (record.fence, record.status) == (claim.fence, settlement.status):
                accepted = {record.id: record.finished_at}
        return replace(outcome, accepted=claim.id in accepted, finished_at=accepted.get(claim.id))

    def _lose(self, outcome: Outcome) -> Outcome:
        self._log(
            logging.ERROR,
            outcome,
            "its outcome (%s) is lost, as the database did not come back in time; it stays claimed",
            outcome.ending,
        )
        return outcome

    # Announce

    def _announce(self, outcome: Outcome) -> None:
        if not outcome.accepted:
            if not self._give_up.is_cancelled:
                self._log(logging.WARNING, outcome, "it is not ours any more: %s", outcome.ending)
        elif outcome.ending is Ending.RELEASED:
            self._log(logging.INFO, outcome, "it was handed back and will run again")
        elif outcome.ending is Ending.RETRYING:
            self._log(logging.WARNING, outcome, "it failed; next attempt in %.1f s", outcome.delay)
        elif outcome.task is None:  # no TaskResult can be made, so no signal can be sent
            self._log(logging.ERROR, outcome, "it failed: %s", outcome.error)
        else:
            self._send_finished(outcome, outcome.task)

    def _send_finished(self, outcome: Outcome, task: Task[..., Any]) -> None:
        result = to_result(outcome.record, task)
        if outcome.error is None:
            return self._send(task_finished, result)
        try:
            raise outcome.error  # receivers, such as Django's logger, read `sys.exc_info()`
        except BaseException:
            self._send(task_finished, result)

    def _send(self, signal: Any, result: TaskResult[..., Any]) -> None:
        signal.send_robust(sender=type(self._backend), task_result=result)

    def _log(self, level: int, outcome: Outcome, message: str, *args: object) -> None:
        record = outcome.claim.record
        shown = outcome.error if outcome.ending in (Ending.FAILED, Ending.RETRYING) else None
        logger.log(
            level,
            f"Job %s (%s): {message}",
            record.id,
            record.task_path,
            *args,
            exc_info=shown,
            extra=self._extra(outcome.claim),
        )

    def _extra(self, claim: Claim) -> dict[str, str]:
        record = claim.record
        return {"service": self._service, "job": str(record.id), "task": record.task_path}


async def _acall(task: Task[..., Any], args: list[Any], kwargs: dict[str, Any]) -> Any:
    async with Scope():
        return await task.acall(*args, **kwargs)


def _resolve(record: JobRecord) -> Task[..., Any]:
    if record.damage is not None:
        raise DamagedJob(f"The row of job {record.id} is damaged: {record.damage}.")
    return resolve(record.task_path)
