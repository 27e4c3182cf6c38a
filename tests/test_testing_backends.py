"""`BackendConformance` passes a backend that keeps the contract, and finds each that does not."""

from __future__ import annotations

import subprocess
import sys
import unittest
from typing import Any, ClassVar

import pytest
from django.test import SimpleTestCase, override_settings

from hosting.compat import task_backends
from hosting.testing import BackendConformance
from tests import memory_backend
from tests.memory_backend import MemoryBackend


class Case(BackendConformance):
    """How all the backends in memory are tested."""

    survives_exit: ClassVar[bool] = True
    patience: ClassVar[float] = 1.0

    def setUp(self) -> None:
        memory_backend.kept.clear()
        super().setUp()

    def run_all(self) -> None:
        backend = task_backends[self.backend]
        assert isinstance(backend, MemoryBackend)
        backend.run_all()


def failures_of(backend: type[MemoryBackend], **attributes: Any) -> set[str]:
    """The names of the tests that fail, without the common beginning of their names."""
    entry = {"BACKEND": f"{backend.__module__}.{backend.__qualname__}", "QUEUES": []}
    attributes = {"retry_options": {"MAX_ATTEMPTS": 2}, **attributes}
    case = override_settings(TASKS={"default": entry})(
        type("Tested", (Case, SimpleTestCase), attributes)
    )
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    assert result.testsRun > 60
    troubles = [test for test, _ in [*result.failures, *result.errors]]
    return {
        getattr(test, "test_case", test).id().rpartition(".test_")[2]
        for test in [*troubles, *result.unexpectedSuccesses]
    }


def test_a_backend_that_keeps_the_contract_passes() -> None:
    assert failures_of(MemoryBackend) == set()


@pytest.mark.parametrize(
    ("backend", "finder"),
    [
        ("SendsItself", "a_success_is_announced_step_by_step"),
        ("SendsNothing", "a_failure_is_announced_step_by_step"),
        ("SendsTwice", "enqueueing_is_announced_once_with_the_class_as_sender"),
        ("SendsAfterTheException", "a_failure_is_announced_while_its_exception_is_handled"),
        ("OverwritesStartedAt", "another_attempt_leaves_started_at_alone"),
        ("KeepsRawArguments", "arguments_are_brought_to_the_types_of_json"),
        ("KeepsRawValues", "a_returned_tuple_becomes_a_list"),
        ("TakesAnything", "arguments_that_are_not_json_are_refused"),
        ("RaisesKeyError", "a_malformed_id_has_no_result"),
        ("LosesErrors", "a_failure_keeps_its_error"),
        ("LosesTracebacks", "a_failure_keeps_its_error"),
        ("LosesWorkers", "a_success_took_one_attempt_of_one_worker"),
        ("KeepsPerThread", "a_result_is_found_on_another_thread"),
        ("IgnoresPriority", "a_higher_priority_comes_first"),
        ("IgnoresRunAfter", "a_task_is_not_executed_before_its_time"),
        ("GivesNumbers", "an_id_is_a_short_string_of_its_own"),
        ("GivesLongIds", "an_id_is_a_short_string_of_its_own"),
        ("IgnoresTimeZones", "enqueued_at_is_aware_as_use_tz_says"),
        ("ValidatesNothing", "enqueue_validates_again"),
        ("NeverSaysRunning", "a_running_task_is_found_as_running"),
        ("DoesNotAwait", "a_coroutine_function_is_executed"),
    ],
)
def test_a_backend_that_breaks_the_contract_is_found_out(backend: str, finder: str) -> None:
    assert finder in failures_of(getattr(memory_backend, backend))


def test_every_broken_backend_is_tried() -> None:
    [mark] = test_a_backend_that_breaks_the_contract_is_found_out.pytestmark  # type: ignore[attr-defined]  # pytest sets it
    broken = {each.__name__ for each in MemoryBackend.__subclasses__()}
    assert {name for name, _ in mark.args[1]} == broken


def test_a_known_deviation_is_expected_to_fail() -> None:
    known = {"test_a_higher_priority_comes_first": "all are alike"}
    assert failures_of(memory_backend.IgnoresPriority, known_deviations=known) == set()
    assert failures_of(MemoryBackend, known_deviations=known) == {"a_higher_priority_comes_first"}


def test_a_known_deviation_has_to_be_a_test() -> None:
    with pytest.raises(AttributeError, match="test_gone"):
        type("Tested", (Case, SimpleTestCase), {"known_deviations": {"test_gone": "it left"}})


def test_what_is_not_supported_is_skipped_by_the_name_of_its_flag() -> None:
    class Refuses(Case, SimpleTestCase):
        pass

    case = Refuses("test_a_higher_priority_comes_first")
    result = unittest.TestResult()
    with override_settings(TASKS={"default": {"BACKEND": "tests.memory_backend.MemoryBackend"}}):
        backend = task_backends["default"]
        backend.supports_priority = False
        case.run(result)
    assert [reason for _, reason in result.skipped] == ["supports_priority of the backend is False"]


def test_it_is_imported_without_settings_models_or_pytest() -> None:
    program = """
import sys
from hosting.testing import BackendConformance, assert_lifecycle, started
found = {"pytest", "_pytest", "django_tasks_db", "hosting.models"} & set(sys.modules)
found |= {name for name in sys.modules if name == "hosting.testing.conformance.tasks"}
assert not found, found
"""
    assert run(program) == (0, "")


def test_the_runner_of_unittest_runs_it_in_a_project_without_hosting() -> None:
    program = """
import django, unittest
from django.conf import settings
from django.test import SimpleTestCase
settings.configure(TASKS={"default": {"BACKEND": "tests.memory_backend.MemoryBackend"}})
django.setup()
from django.test.runner import DiscoverRunner
from hosting.testing import BackendConformance
from hosting.compat import task_backends
from tests import memory_backend

class TestMemory(BackendConformance, SimpleTestCase):
    def setUp(self):
        memory_backend.kept.clear()
        super().setUp()

    def run_all(self):
        task_backends["default"].run_all()

suite = unittest.defaultTestLoader.loadTestsFromTestCase(TestMemory)
result = DiscoverRunner(verbosity=0).run_suite(suite)
assert result.testsRun > 60 and result.wasSuccessful()
"""
    code, errors = run(program)
    assert code == 0, errors


def run(program: str) -> tuple[int, str]:
    """Run a program in a Python of its own; its exit code and what it wrote to stderr."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr
