"""Jobs, their results, and what they share: limits, keys, queues that are paused.

`Job` holds what waits or runs and stays small; a job that ended moves to `JobResult`, in the
statement that settles it. Rows of both are written by `hosting.queues.stores` only, which state
what a job's states and its fence mean. Whatever holds JSON is text, not `JSONField`: PostgreSQL's
`jsonb` refuses \\u0000, and a damaged value must stay readable as a row, so that it fails one job
and not its worker.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from hosting.compat import TaskResultStatus
from hosting.ids import uuid7

LONGEST_KEY = 128


class JobState(models.TextChoices):
    """What a job waits for, or that it runs."""

    WAITING = "waiting", "Waiting for its time"
    BLOCKED = "blocked", "Waiting for its limit to allow it"
    HELD = "held", "Waiting for the end of its batch"
    READY = "ready", "Ready to be claimed"
    RUNNING = "running", "Claimed"


class Enqueued(models.Model):
    """What a job keeps from its enqueueing to its end."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    backend = models.CharField(max_length=128)
    queue_name = models.CharField(max_length=128)
    # The negated priority, so that the whole order of claims is ascending and one comparison of
    # (rank, due_at, id) says what comes after a job.
    rank = models.SmallIntegerField(default=0)
    task_path = models.CharField(max_length=512)
    args = models.TextField(default="[]")
    kwargs = models.TextField(default="{}")
    options = models.TextField(default="", blank=True)  # what `using` changed of the task's own
    limit_key = models.CharField(max_length=LONGEST_KEY, default="", blank=True)
    # Taken as long as there is a `Job`; a result keeps it for a job that is run again.
    # NULL, as of those any number is unique.
    unique_key = models.CharField(max_length=LONGEST_KEY, null=True, blank=True)  # noqa: DJ001
    unique_until_claimed = models.BooleanField(default=False)

    enqueued_at = models.DateTimeField()
    run_after = models.DateTimeField(null=True, blank=True)  # as the caller gave it
    started_at = models.DateTimeField(null=True, blank=True)  # of the first attempt
    claimed_at = models.DateTimeField(null=True, blank=True)  # of the latest attempt

    errors = models.TextField(default="[]")  # one for every attempt that failed
    worker_ids = models.TextField(default="[]")  # one for every attempt that ended
    fence = models.BigIntegerField(default=0)  # grows with every claim and never shrinks
    progress = models.TextField(default="", blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.task_path} ({self.id})"


class Job(Enqueued):
    """A task that was enqueued and has not ended."""

    state = models.CharField(max_length=8, choices=JobState.choices, default=JobState.READY)
    due_at = models.DateTimeField()  # when it may run: at first run_after or enqueued_at
    expires_at = models.DateTimeField(null=True, blank=True)  # if it has not started by then

    claimed_by = models.CharField(max_length=64, default="", blank=True)  # a HostProcess
    failures = models.IntegerField(default=0)  # attempts that count towards MAX_ATTEMPTS
    deaths = models.SmallIntegerField(default=0)  # see `hosting.queues.stores.upkeep`
    begun_fence = models.BigIntegerField(default=0)  # the claim that says it has begun
    cancel_requested = models.BooleanField(default=False)

    batch_id = models.UUIDField(null=True, blank=True)

    class Meta:
        indexes = [
            # The order of claims within a queue: only what may be claimed now is in it.
            models.Index(
                fields=["backend", "queue_name", "rank", "due_at", "id"],
                condition=Q(state=JobState.READY),
                name="hosting_job_ready",
            ),
            models.Index(
                fields=["backend", "due_at"],
                condition=Q(state=JobState.WAITING),
                name="hosting_job_waiting",
            ),
            # Few rows at any time: what the workers hold.
            models.Index(
                fields=["claimed_by"],
                condition=Q(state=JobState.RUNNING),
                name="hosting_job_running",
            ),
            # Hardly any row, ever: jobs that run, and are to end.
            models.Index(
                fields=["claimed_by"],
                condition=Q(cancel_requested=True),
                name="hosting_job_cancelled",
            ),
            models.Index(
                fields=["limit_key", "state"],
                condition=~Q(limit_key=""),
                name="hosting_job_limited",
            ),
            models.Index(
                fields=["batch_id", "state"],
                condition=Q(batch_id__isnull=False),
                name="hosting_job_batch",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["unique_key"],
                condition=Q(unique_key__isnull=False),
                name="hosting_job_unique",
            ),
        ]


class JobResult(Enqueued):
    """A job that has ended; rows are added and pruned, never changed."""

    status = models.CharField(max_length=16, choices=TaskResultStatus.choices)
    return_value = models.TextField(default="", blank=True)  # "" unless it has succeeded
    finished_at = models.DateTimeField()

    class Meta:
        indexes = [
            # Few rows, so that it costs those that succeed nothing: what people look for. The
            # status is in it for SQLite, which else reads each row to be sure.
            models.Index(
                fields=["status", "id"],
                condition=Q(status=TaskResultStatus.FAILED),
                name="hosting_result_failed",
            ),
        ]


class PausedQueue(models.Model):
    """A queue of a backend from which nothing is claimed as long as there is this row."""

    backend = models.CharField(max_length=128)
    name = models.CharField(max_length=128)
    paused_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "queue"
        default_permissions = ()  # who may change jobs may pause queues
        constraints = [
            models.UniqueConstraint(fields=["backend", "name"], name="hosting_queue_paused_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.backend})"


class Reservation(models.Model):
    """A key that stays taken for a time, also after the job that took it has ended."""

    key = models.CharField(max_length=LONGEST_KEY, primary_key=True)
    job_id = models.UUIDField()
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class Limit(models.Model):
    """How many jobs with one key may run at once, and how many may begin in a time."""

    key = models.CharField(max_length=LONGEST_KEY, primary_key=True)
    running = models.IntegerField(null=True, blank=True)
    count = models.IntegerField(null=True, blank=True)
    period = models.FloatField(null=True, blank=True)  # seconds
    # When the next job may begin by the rate, see `hosting.queues.stores.upkeep`.
    free_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.key
