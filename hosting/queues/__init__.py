"""The durable queue behind Django's task API.

stores      the contract with the database, and one store per vendor
wakeup      tells workers of this process that something was enqueued
resolution  from a task's path to the task
options     the OPTIONS of the backend, judged
declared    the options of tasks, and what they mean for one call
sizes       how large arguments may be
backends    what `enqueue` and `get_result` do
execution   one attempt of one job, from its scope to its signals; `outcomes`, how it ended
outage      what to do while the database is away
housekeeping  what a task may leave behind on its thread
shift       claims jobs and has them executed on `threads`, until it is to end
worker      the service that does so
scheduling  which task is enqueued when; `scheduler`, the service that does so
schedules   run one now, pause it, let it go on
"""

from hosting.queues.backends import DatabaseBackend
from hosting.queues.execution import JobContext
from hosting.queues.worker import TaskWorker

__all__ = ["DatabaseBackend", "JobContext", "TaskWorker"]
