"""Processes that host services, the leases they hold, and what they are asked to do."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


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
    # Where its workers take jobs while they rest, as JSON; processes of an earlier version do not
    # write it. Secret, see `hosting.queues.stores.inbox`.
    inboxes = models.TextField(null=True, blank=True, editable=False)  # noqa: DJ001 - as said
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
