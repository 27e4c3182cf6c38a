"""Background work in memory: a bounded queue, and the service that drains it.

The queue is not durable: what is in it when the process dies is gone, and what is left at the end
of a graceful stop is counted and reported. Work that must not be lost belongs in the database (see
`hosting.TaskWorker`).

queue      the queue, for any number of producers and consumers
service    runs the items, each in a scope
"""

from hosting.background.queue import BackgroundTaskQueue, WorkItem, background_tasks
from hosting.background.service import DRAIN_SHARE, QueuedHostedService

__all__ = [
    "DRAIN_SHARE",
    "BackgroundTaskQueue",
    "QueuedHostedService",
    "WorkItem",
    "background_tasks",
]
