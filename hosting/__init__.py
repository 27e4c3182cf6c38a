"""Hosted services for Django: services that start, run and stop with the process.

cancellation, schedules, backoff   values
services, scope, lifetime, conf    what a project declares and writes
supervision, standing, host         what starts, watches over and stops it, and how it is
leadership                         leases, and services of which one copy runs in the fleet
background                         the in-memory queue and its service
queues                             the durable queue: stores, backend, worker, schedules
builder, fleet                     putting a host together; seeing the other processes
observability, vitals              how services are, and what is answered about that
process                            which process hosts, and how it ends
management, views, checks, apps    what a user types and sees
"""

from hosting.background import BackgroundTaskQueue, QueuedHostedService, background_tasks
from hosting.backoff import Backoff
from hosting.cancellation import CancellationToken
from hosting.exceptions import (
    ConfigurationError,
    HostingError,
    LeaseLost,
    OperationCancelled,
    QueueFull,
    ServiceStartError,
    ServiceStopError,
    UnknownSchedule,
)
from hosting.lifetime import HostLifetime
from hosting.process.current import current_host
from hosting.queues.calls import (
    Batch,
    cancel,
    discard,
    enqueue_many,
    enqueue_on_commit,
    pause_queue,
    resume_queue,
    retry,
)
from hosting.queues.declared import Concurrency, DatabaseTask, Rate, Unique, task
from hosting.queues.scheduler import Scheduler
from hosting.queues.schedules import pause_schedule, resume_schedule, run_schedule
from hosting.queues.worker import TaskWorker
from hosting.scope import Scope, scope
from hosting.services import (
    BackgroundService,
    Condition,
    HostedService,
    Lease,
    ScopedService,
    ServiceState,
    TimedService,
)

__all__ = [
    "BackgroundService",
    "BackgroundTaskQueue",
    "Backoff",
    "Batch",
    "CancellationToken",
    "Concurrency",
    "Condition",
    "ConfigurationError",
    "DatabaseTask",
    "HostLifetime",
    "HostedService",
    "HostingError",
    "Lease",
    "LeaseLost",
    "OperationCancelled",
    "QueueFull",
    "QueuedHostedService",
    "Rate",
    "Scheduler",
    "Scope",
    "ScopedService",
    "ServiceStartError",
    "ServiceState",
    "ServiceStopError",
    "TaskWorker",
    "TimedService",
    "Unique",
    "UnknownSchedule",
    "background_tasks",
    "cancel",
    "current_host",
    "discard",
    "enqueue_many",
    "enqueue_on_commit",
    "pause_queue",
    "pause_schedule",
    "resume_queue",
    "resume_schedule",
    "retry",
    "run_schedule",
    "scope",
    "task",
]
