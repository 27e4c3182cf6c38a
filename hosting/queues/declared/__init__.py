"""What a task declares beside its function, and what that means for one call of it.

values      how options are written: `Unique`, `Concurrency`, `Rate`, and their short forms
judges      what each option may be
keys        which jobs of a task are the same, or share a limit
task        `DatabaseTask` and the decorator that makes it
enqueueing  what the backend needs to know to enqueue one call
sensitive   which arguments nobody is to see
executing   what the worker needs to know to execute one job
memory      keeps what is asked for with every job

Nothing here imports a model: tasks are declared while apps still load.
"""

from hosting.queues.declared.enqueueing import EnqueueOptions, EnqueuePlan, enqueue_plan
from hosting.queues.declared.executing import ExecutionOptions, execution_options
from hosting.queues.declared.sensitive import REDACTED, redacted
from hosting.queues.declared.task import DatabaseTask, task
from hosting.queues.declared.values import Concurrency, Rate, Unique

__all__ = [
    "REDACTED",
    "Concurrency",
    "DatabaseTask",
    "EnqueueOptions",
    "EnqueuePlan",
    "ExecutionOptions",
    "Rate",
    "Unique",
    "enqueue_plan",
    "execution_options",
    "redacted",
    "task",
]
