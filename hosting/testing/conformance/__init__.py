"""The contract of Django's task API as tests, for any backend.

tasks        what is enqueued; a worker finds it by its path
hearing      the signals of tasks, as they were sent
case         what an author states of a backend, and what all tests share
validation   what must be refused
enqueueing   what `enqueue` returns, stores and announces
execution    what a task is called with, and what is kept of a success
failures     what is kept of a failure, and of another attempt
moments      priority and `run_after`
results      how a result is found again
"""

from hosting.testing.conformance.enqueueing import Enqueueing
from hosting.testing.conformance.execution import Execution
from hosting.testing.conformance.failures import Failures
from hosting.testing.conformance.moments import Moments
from hosting.testing.conformance.results import Results
from hosting.testing.conformance.validation import Validation

__all__ = ["BackendConformance"]


class BackendConformance(Validation, Enqueueing, Execution, Failures, Moments, Results):
    """The tests of a backend of Django's task API: mix it into a TestCase, and write `run_all`.

    `ConformanceCase` says what can be stated of the backend. What the backend itself declares not
    to support must be refused; the tests that need it are skipped and name the flag.
    """
