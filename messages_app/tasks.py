"""What an added task does, and how it gets into a queue.

Both queues run the same function, `write_steps`. They differ in what a cancelled task means: the
database has the job and its messages, so its worker hands it back and another one goes on with the
first step that is not written; the in-memory item ends with its process.
"""

from __future__ import annotations

import logging
import os
import socket
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from django import db
from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from hosting import CancellationToken, OperationCancelled, QueueFull, background_tasks, scope
from hosting.compat import TaskResult, TaskResultStatus, task, task_finished
from hosting.queues import JobContext
from messages_app.models import AddedTask, Message, Queue, State

logger = logging.getLogger(__name__)

#: Seconds that adding a task waits for room in the in-memory queue.
ROOM_TIMEOUT = 0.5


def add_task(queue: str, steps: int, delay: float) -> AddedTask:
    """Add a task to `queue`; raises `QueueFull` if the in-memory queue has no room."""
    if queue == Queue.MEMORY:
        return _add_to_memory(steps, delay)
    return _add_to_database(steps, delay)


def _add_to_database(steps: int, delay: float) -> AddedTask:
    # Transactional enqueue: the job is a row as well, so both commit together or not at all. No
    # worker can claim the job before its progress row is there, and no row waits for a lost job.
    with transaction.atomic():
        result = write_messages.enqueue(steps, delay)
        return AddedTask.objects.create(
            id=result.id, queue=Queue.DATABASE, steps=steps, delay=delay
        )


def _add_to_memory(steps: int, delay: float) -> AddedTask:
    # Memory cannot take part in a transaction, so the row comes first: the item may run at once.
    added = AddedTask.objects.create(
        id=str(uuid.uuid4()),
        queue=Queue.MEMORY,
        steps=steps,
        delay=delay,
        host_name=socket.gethostname(),
        pid=os.getpid(),
    )
    try:
        background_tasks.enqueue(
            partial(write_messages_from_memory, added.pk, steps, delay), timeout=ROOM_TIMEOUT
        )
    except QueueFull:
        added.delete()
        raise
    return added


@task(takes_context=True)  # type: ignore[arg-type]  # jobs get more than a TaskContext
def write_messages(context: JobContext, steps: int, delay: float) -> None:
    """The job of the database queue."""
    task_id = context.task_result.id
    try:
        write_steps(task_id, steps, delay, context.token)
    except OperationCancelled:
        _note_hand_back(task_id)
        raise  # the worker hands the job back to the queue


def write_messages_from_memory(
    task_id: str, steps: int, delay: float, token: CancellationToken
) -> None:
    """The work item of the in-memory queue."""
    try:
        write_steps(task_id, steps, delay, token)
    except OperationCancelled:
        logger.info("Queued Background Task %s was cancelled.", task_id)
        _note(task_id, state=State.CANCELLED, finished_at=timezone.now())
    except Exception:
        _note(task_id, state=State.FAILED, finished_at=timezone.now())
        raise


def write_steps(task_id: str, steps: int, delay: float, token: CancellationToken) -> None:
    """Write one message per step, and wait `delay` seconds; raises `OperationCancelled`.

    The wait stands for the work of a step, so it follows the last one too. May be run any number of
    times for the same task, as at-least-once queues do: it goes on with the steps that have no
    message yet. A task that is cancelled in its last wait has nothing left to do: it is complete.
    """
    for step in _missing_steps(task_id, steps):
        token.raise_if_cancelled()
        _try_step(task_id, step, steps)
        token.wait(delay)
    _note(task_id, state=State.DONE, finished_at=timezone.now())
    logger.info("Queued Background Task %s is complete. %d/%d", task_id, steps, steps)


def _missing_steps(task_id: str, steps: int) -> list[int]:
    with scope():
        written = set(Message.objects.filter(task_id=task_id).values_list("step", flat=True))
        started = AddedTask.objects.filter(pk=task_id)
        started.update(state=State.RUNNING)
        started.filter(started_at=None).update(started_at=timezone.now())
    return [step for step in range(1, steps + 1) if step not in written]


def _try_step(task_id: str, step: int, steps: int) -> None:
    # A scope for each step: after an error the next one begins on a working connection, and no
    # connection stays open during the waits.
    try:
        with scope(), transaction.atomic():
            _write_step(task_id, step, steps)
    except db.Error as error:
        logger.exception("An error occurred writing to the database. Error: %s", error)


def _write_step(task_id: str, step: int, steps: int) -> None:
    text = f"Queued Background Task {task_id} has written a step. {step}/{steps}"
    # Two runs of one job can overlap, if a worker was taken for dead: the later write does nothing.
    Message.objects.bulk_create(
        [Message(text=text, task_id=task_id, step=step)], ignore_conflicts=True
    )
    written = Message.objects.filter(task_id=task_id).count()
    progress = AddedTask.objects.filter(pk=task_id).exclude(state=State.DONE)
    progress.update(step=written, state=State.RUNNING)


def _note_hand_back(task_id: str) -> None:
    # Only what runs: if this run was given up already, another one may have finished the task.
    with scope():
        running = AddedTask.objects.filter(pk=task_id, state=State.RUNNING)
        running.update(state=State.WAITING)


def _note(task_id: str, **values: object) -> None:
    with scope():
        AddedTask.objects.filter(pk=task_id).update(**values)


#: For how long messages and ended tasks are kept, unless the schedule says otherwise.
KEPT_DAYS = 30


@task
def prune_messages(days: int = KEPT_DAYS) -> int:
    """The scheduled task: forget messages that are older than so many days; returns how many.

    So are the tasks that have ended and wrote them. May be run any number of times.
    """
    old = timezone.now() - timedelta(days=days)
    with transaction.atomic():
        pruned, _ = Message.objects.filter(created_at__lt=old).delete()
        AddedTask.objects.finished().filter(finished_at__lt=old).delete()
    logger.info("%d messages were older than %d days.", pruned, days)
    return pruned


@receiver(task_finished)
def note_failure(sender: object, task_result: TaskResult[..., Any], **kwargs: object) -> None:
    """Show a job that failed for good, also when its worker died and could not tell."""
    if task_result.status == TaskResultStatus.FAILED and _is_ours(task_result):
        _note(task_result.id, state=State.FAILED, finished_at=timezone.now())


def _is_ours(task_result: TaskResult[..., Any]) -> bool:
    return bool(task_result.task.module_path == write_messages.module_path)
