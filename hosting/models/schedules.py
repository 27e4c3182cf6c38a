"""Schedules, and the slots for which jobs were enqueued."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


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
