"""The tables: jobs of the durable queue, and the processes that host services.

Rows of `Job` are written by `hosting.queues.stores` only, which state what a job's states and its
fence mean. Whatever holds JSON is text, not `JSONField`: PostgreSQL's `jsonb` refuses \\u0000, and
a damaged value must stay readable as a row, so that it fails one job and not its worker.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from hosting.compat import TaskResultStatus
from hosting.ids import uuid7


class Job(models.Model):
    """A task that was enqueued, from then until it is pruned."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    backend = models.CharField(max_length=128)
    queue_name = models.CharField(max_length=128)
    priority = models.SmallIntegerField(default=0)
    task_path = models.CharField(max_length=512)

    args = models.TextField(default="[]")
    kwargs = models.TextField(default="{}")
    return_value = models.TextField(default="", blank=True)  # "" until it has succeeded
    errors = models.TextField(default="[]")
    worker_ids = models.TextField(default="[]")

    status = models.CharField(
        max_length=16, choices=TaskResultStatus.choices, default=TaskResultStatus.READY
    )
    run_after = models.DateTimeField(null=True, blank=True)  # as the caller gave it
    due_at = models.DateTimeField()  # when it may run: at first run_after or enqueued_at

    enqueued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)  # of the first attempt
    last_attempted_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    claimed_by = models.CharField(max_length=64, default="", blank=True)
    fence = models.BigIntegerField(default=0)  # grows with every claim and never shrinks

    class Meta:
        indexes = [
            # The order of claims. It begins with what every claim names, so backends that share
            # the table do not read past each other's jobs.
            models.Index(
                fields=["backend", "-priority", "due_at", "id"],
                condition=Q(status=TaskResultStatus.READY),
                name="hosting_job_ready",
            ),
            # Few rows at any time: what a worker holds.
            models.Index(
                fields=["claimed_by"],
                condition=Q(status=TaskResultStatus.RUNNING),
                name="hosting_job_running",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_path} ({self.id})"


class HostProcess(models.Model):
    """A process that hosts services; it renews `seen_at` by the database's clock."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    host_name = models.CharField(max_length=255)
    pid = models.IntegerField()
    kind = models.CharField(max_length=16)  # "web" or "worker"
    version = models.CharField(max_length=32)
    services = models.TextField(default="[]")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "host processes"

    def __str__(self) -> str:
        return f"{self.kind} {self.host_name}:{self.pid}"
