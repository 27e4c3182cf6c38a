"""For the tests of services, of tasks, and of task backends.

draining      jobs of the durable queue, executed on the spot
stored        which jobs were enqueued, and time that passes for them
onthespot     a tick, or a service's whole `execute`, on the spot
lifecycle     a started host, and the lifecycle contract as assertions
conformance   the contract of Django's task API, as tests for any backend

Neither models nor a test runner are needed to import it.
"""

from hosting.testing.attempts import Attempt, Drained
from hosting.testing.conformance import BackendConformance
from hosting.testing.draining import adrain, drain
from hosting.testing.lifecycle import assert_lifecycle, started
from hosting.testing.onthespot import play, tick
from hosting.testing.stored import EnqueuedJob, assert_enqueued, enqueued, pass_time

__all__ = [
    "Attempt",
    "BackendConformance",
    "Drained",
    "EnqueuedJob",
    "adrain",
    "assert_enqueued",
    "assert_lifecycle",
    "drain",
    "enqueued",
    "pass_time",
    "play",
    "started",
    "tick",
]
