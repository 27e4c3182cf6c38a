"""The pages that are measured, and who asks for them."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from hosting.models import Job, JobResult, LogLine


def client() -> Client:
    """A browser of somebody who may see everything."""
    found = Client(headers={"host": "localhost"})
    found.force_login(User.objects.create_superuser("bench"))
    return found


def pages() -> Iterator[tuple[str, str]]:
    """Names of pages and their addresses."""
    jobs = reverse("admin:hosting_job_changelist")
    yield "jobs", jobs
    yield "jobs, the page in the middle", f"{jobs}?before={_middle()}"
    for state in ("waiting", "blocked", "held", "ready", "running", "failed", "successful"):
        yield f"jobs, {state}", f"{jobs}?state={state}"
    yield "jobs of a queue", f"{jobs}?queue=mail"
    yield "jobs of a queue with hardly any", f"{jobs}?queue=rare"
    yield "jobs of a queue that is not there", f"{jobs}?queue=none"
    yield "failed jobs of a queue that is not there", f"{jobs}?state=failed&queue=none"
    yield "waiting jobs of a queue that is not there", f"{jobs}?state=waiting&queue=none"
    yield "running jobs of a queue", f"{jobs}?state=running&queue=mail"
    yield "search for a part of a path", f"{jobs}?q=prune"
    yield "search for what is not there", f"{jobs}?q=nowhere"
    yield "jobs of 5 minutes", f"{jobs}?age=5m"
    yield "200 jobs", f"{jobs}?size=200"
    for name, model in (("a job that waits", Job), ("a job that has ended", JobResult)):
        job = model._default_manager.order_by("id")[500]
        yield name, reverse("admin:hosting_job_change", args=[job.pk])
    queues = reverse("admin:hosting_pausedqueue_changelist")
    yield "queues, at first", queues
    yield "queues, again", queues
    yield "fleet", reverse("admin:hosting_hostprocess_changelist")
    log = reverse("admin:hosting_hostprocess_log")
    yield "log of a service", f"{log}?service=TaskWorker"
    yield "log of a service, the page in the middle", f"{log}?service=TaskWorker&before={_line()}"
    yield "log of a service, errors", f"{log}?service=TaskWorker&level=error"
    yield "log of a service that is not there", f"{log}?service=none"
    yield "schedules", reverse("admin:hosting_schedule_changelist")


def _line() -> int:
    return LogLine._default_manager.count() // 2


def _middle() -> str:
    count = JobResult._default_manager.count()
    return str(JobResult._default_manager.order_by("id")[count // 2].pk)
