"""What the page shows: the messages that tasks write, and how far each added task has come."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class MessageQuerySet(models.QuerySet["Message"]):
    def latest_lines(self, limit: int) -> tuple[list[Message], bool]:
        """The newest `limit` messages, newest last, and whether older ones were left out."""
        # One row more than wanted tells what a COUNT over the whole table would.
        newest = list(self.order_by("-pk")[: limit + 1])
        return newest[:limit][::-1], len(newest) > limit


class Message(models.Model):
    """One line that a task wrote; at most one for each of its steps."""

    text = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    task_id = models.CharField(max_length=64)
    step = models.PositiveSmallIntegerField()

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            # A task that is run again, after a hand-back or a crash, cannot write a step twice.
            models.UniqueConstraint(fields=["task_id", "step"], name="message_once_per_step"),
        ]

    def __str__(self) -> str:
        return self.text


class Queue(models.TextChoices):
    DATABASE = "database", "database"
    MEMORY = "memory", "memory"


class State(models.TextChoices):
    WAITING = "waiting", "waiting"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    LOST = "lost", "lost with its process"


UNFINISHED = (State.WAITING, State.RUNNING)


class AddedTaskQuerySet(models.QuerySet["AddedTask"]):
    def unfinished(self) -> AddedTaskQuerySet:
        """Those that wait or run, in the order in which they were added."""
        return self.filter(state__in=UNFINISHED).order_by("created_at", "pk")

    def finished(self) -> AddedTaskQuerySet:
        """The others, the one that ended last first."""
        return self.exclude(state__in=UNFINISHED).order_by(F("finished_at").desc(), "-pk")

    def kept_by_processes_other_than(self, alive: set[tuple[str, int]]) -> AddedTaskQuerySet:
        """Unfinished tasks of in-memory queues whose process, (host name, pid), is not `alive`."""
        living = Q(pk__in=[])
        for host_name, pid in alive:
            living |= Q(host_name=host_name, pid=pid)
        return self.filter(queue=Queue.MEMORY, state__in=UNFINISHED).exclude(living)


class AddedTask(models.Model):
    """A task that was added on the page, and how far it has come.

    Its id is that of the job in the database queue, or a UUID of its own in the in-memory queue.
    """

    id = models.CharField(max_length=64, primary_key=True)
    queue = models.CharField(max_length=10, choices=Queue)
    steps = models.PositiveSmallIntegerField()
    delay = models.FloatField(help_text="Seconds that a step takes.")
    step = models.PositiveSmallIntegerField(default=0, help_text="How many steps are written.")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # The process whose memory holds the task; a job in the database belongs to no process.
    host_name = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True)

    objects = AddedTaskQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["state", "created_at"], name="added_task_unfinished"),
            models.Index(fields=["finished_at"], name="added_task_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.get_state_display()}, {self.step}/{self.steps})"

    @property
    def is_unfinished(self) -> bool:
        return self.state in UNFINISHED
