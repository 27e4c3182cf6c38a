"""The tables: jobs and their results, schedules, processes that host services, and leases.

Two more hold what people ask for: queues that are paused, and services to be stopped or started.

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


class Missed(models.TextChoices):
    """What becomes of slots that fell due while nobody could enqueue."""

    SKIP = "skip", "skip them"
    ONCE = "once", "run once for all of them"
    ALL = "all", "run every one"


class Schedule(models.Model):
    """When a task is enqueued by itself; see `hosting.queues.scheduling`.

    Its slots are the moments of `cron`, or `since` + n * `interval` for n = 1, 2, ...
    """

    name = models.CharField(primary_key=True, max_length=64)
    task_path = models.CharField("task", max_length=512)
    cron = models.CharField(max_length=255, default="", blank=True)
    interval = models.FloatField(null=True, blank=True)  # seconds
    time_zone = models.CharField(max_length=64, default="", blank=True)  # "": Django's
    args = models.TextField("positional arguments", default="[]")
    kwargs = models.TextField("keyword arguments", default="{}")
    queue_name = models.CharField("queue", max_length=128, default="", blank=True)  # "": the task's
    priority = models.SmallIntegerField(null=True, blank=True)  # None: the task's
    missed = models.CharField(max_length=8, choices=Missed.choices, default=Missed.ONCE)
    is_paused = models.BooleanField("paused", default=False)
    is_declared = models.BooleanField("from settings", default=False, editable=False)
    # Since when it is as it is now, and the latest moment up to which all slots are dealt with.
    since = models.DateTimeField(db_default=Now(), editable=False)
    handled_until = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class ScheduleSlot(models.Model):
    """A slot for which a job was enqueued; that there is one row at most makes it one job."""

    schedule = models.CharField(max_length=64)  # its name, which may be gone
    slot = models.DateTimeField()
    job_id = models.UUIDField()
    enqueued_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["schedule", "slot"], name="hosting_slot_once"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule} at {self.slot}"


class HostProcess(models.Model):
    """A process that hosts services; it renews its row by the database's clock."""

    id = models.CharField(primary_key=True, max_length=64, editable=False)
    host_name = models.CharField(max_length=255)
    pid = models.IntegerField()
    kind = models.CharField(max_length=16)  # "web" or "worker"
    version = models.CharField(max_length=32)
    services = models.TextField(default="[]")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    # Until then the jobs it claimed are its own; None: it claims none.
    alive_until = models.DateTimeField(null=True, blank=True)
    # Whether a worker of it sleeps and wants to be told of new jobs.
    is_listening = models.BooleanField(default=False)
    # Whether a service of it waits for a lease; processes of an earlier version do not write it.
    is_standing_by = models.BooleanField(default=False, db_default=False)
    # Until then it looks every second what it is asked to do; see `hosting.remote`.
    heeds_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "host processes"

    def __str__(self) -> str:
        return f"{self.kind or 'process'} {self.pid} on {self.host_name}"


class Lease(models.Model):
    """A name that one process of the fleet holds at a time; see `hosting.leadership`.

    The row stays when nobody holds it, so that its token never shrinks.
    """

    name = models.CharField(primary_key=True, max_length=64)  # the NAME of the service
    token = models.BigIntegerField(default=0)  # grows each time that somebody gets it
    holder = models.CharField(max_length=80, default="", blank=True)  # "": nobody
    held_since = models.DateTimeField(null=True, blank=True)
    held_until = models.DateTimeField(null=True, blank=True)  # unless it is renewed

    class Meta:
        # Makes the token a part of a key: so PostgreSQL tells who takes the lease, which changes
        # the key, from who renews it, which does not wait for those who hold on to the key.
        constraints = [models.UniqueConstraint(fields=["name", "token"], name="hosting_lease_key")]

    def __str__(self) -> str:
        return self.name


class ServiceAction(models.TextChoices):
    """What a process may be asked to do with one of its services."""

    STOP = "stop", "Stop"
    START = "start", "Start"
    RESTART = "restart", "Restart"


class ServiceCommand(models.Model):
    """Something that a process is asked to do with one of its services; see `hosting.remote`."""

    process = models.CharField(max_length=64, db_index=True)  # a HostProcess, which may be gone
    service = models.CharField(max_length=64)  # the NAME of the service
    action = models.CharField(max_length=8, choices=ServiceAction.choices)
    requested_by = models.CharField(max_length=150, default="", blank=True)  # a user name
    requested_at = models.DateTimeField(db_default=Now())
    taken_at = models.DateTimeField(null=True, blank=True)  # when the process has seen it
    done_at = models.DateTimeField(null=True, blank=True)
    outcome = models.TextField(default="", blank=True)  # "": it went well

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.action} {self.service} in {self.process}"
