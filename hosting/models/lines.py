"""Lines of log that are kept to be read in the admin."""

from __future__ import annotations

from django.db import models


class LogLine(models.Model):
    """What a job or a service has logged; see `hosting.observability.lines`."""

    service = models.CharField(max_length=64)  # the NAME of the service; of a job, its worker's
    job_id = models.UUIDField(null=True, blank=True)
    attempt = models.IntegerField(null=True, blank=True)
    process = models.CharField(max_length=64)  # a HostProcess, which may be gone
    made_at = models.DateTimeField()  # by the clock of that process
    level = models.SmallIntegerField()  # as `logging` numbers them
    logger = models.CharField(max_length=128)
    text = models.TextField()

    class Meta:
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["job_id", "id"], name="hosting_line_of_job"),
            # What a service has logged outside of jobs is found among the lines of its jobs.
            models.Index(fields=["service", "job_id", "id"], name="hosting_line_of_service"),
        ]

    def __str__(self) -> str:
        return f"{self.logger}: {self.text[:80]}"
