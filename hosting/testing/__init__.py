"""For the tests of services and of task backends.

lifecycle     a started host, and the lifecycle contract as assertions
conformance   the contract of Django's task API, as tests for any backend

Neither models nor a test runner are needed to import it.
"""

from hosting.testing.conformance import BackendConformance
from hosting.testing.lifecycle import assert_lifecycle, started

__all__ = ["BackendConformance", "assert_lifecycle", "started"]
