"""What is kept of a failure, what it leaves alone, and what another attempt changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from hosting.compat import TaskError, TaskResult, TaskResultStatus
from hosting.testing.conformance.case import TASKS_MODULE, ConformanceCase


class Failures(ConformanceCase):
    """Tasks that raise, and tasks that are attempted again."""

    def test_a_failure_keeps_its_error(self) -> None:
        self._assert_failed(self.execute("fail", "as told"))

    def test_a_failing_coroutine_function_keeps_its_error(self) -> None:
        self.require("supports_async_task")
        self._assert_failed(self.execute("afail", "as told"))

    def test_a_failure_has_no_return_value(self) -> None:
        result = self.execute("fail", "as told")
        with self.assertRaises(ValueError):
            _ = result.return_value

    def test_a_failure_has_its_times_and_its_attempt(self) -> None:
        result = self.execute("fail", "as told")
        started_at = self.assert_time(result.started_at)
        self.assertLessEqual(started_at, self.assert_time(result.finished_at))
        self.assertEqual(result.last_attempted_at, started_at)
        self.assertEqual((result.attempts, len(result.worker_ids)), (1, 1))

    def test_an_exception_of_one_s_own_is_kept(self) -> None:
        [error] = self.execute("meet_mishap").errors
        self.assertEqual(error.exception_class_path, f"{TASKS_MODULE}.Mishap")
        self.assertEqual(error.exception_class.__name__, "Mishap")
        self.assertIn("it broke (7)", error.traceback)

    def test_a_return_value_that_is_not_json_fails_the_task(self) -> None:
        result = self.execute("give_object")
        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertEqual(len(result.errors), 1)

    def test_a_failure_is_announced_while_its_exception_is_handled(self) -> None:
        # Django's own receiver logs `sys.exc_info()`.
        self.require_statement("in_process")
        result = self.execute("fail", "as told")
        [told] = self.heard.of(result, "finished")
        self.assertIsInstance(told.handled, LookupError)

    def test_a_success_is_announced_while_no_exception_is_handled(self) -> None:
        self.require_statement("in_process")
        result = self.execute("add", 1)
        self.assertEqual([each.handled for each in self.heard.of(result)], [None] * 3)

    def test_a_failure_leaves_other_tasks_alone(self) -> None:
        results = [
            self.task(name).enqueue(*args) for name, args in (("fail", ["told"]), ("add", [1]))
        ]
        self.run_all()
        self.assertEqual(
            [self.latest(each).status for each in results],
            [TaskResultStatus.FAILED, TaskResultStatus.SUCCESSFUL],
        )

    def test_a_task_that_exits_fails_and_ends_nothing_else(self) -> None:
        self.require_statement("survives_exit")
        left, added = self.task("leave").enqueue(), self.task("add").enqueue(1)
        [error] = self.finish(left).errors
        self.assertIs(error.exception_class, SystemExit)
        self.assertEqual(self.finish(added).return_value, 1)

    def test_another_attempt_adds_to_the_result(self) -> None:
        result = self._attempt_twice()
        self.assertEqual(result.return_value, 2)
        self.assertEqual((result.attempts, len(result.worker_ids)), (2, 2))
        [error] = result.errors
        self.assertIn("the first attempt", error.traceback)
        if self.retry_options and self.in_process:
            told = [each.result.status for each in self.heard.of(result, "finished")]
            self.assertEqual(told, [TaskResultStatus.SUCCESSFUL], "It has finished only once.")

    def test_another_attempt_leaves_started_at_alone(self) -> None:
        result = self._attempt_twice()
        started_at = self.assert_time(result.started_at)
        last_attempted_at = self.assert_time(result.last_attempted_at)
        self.assertLess(started_at, last_attempted_at, "started_at is that of the first attempt.")
        self.assertLessEqual(last_attempted_at, self.assert_time(result.finished_at))

    def _attempt_twice(self) -> TaskResult[..., Any]:
        if self.retry_options is None:
            failed = self.execute("fail_at_first")
            self.requeue(failed)
            return self.finish(failed)
        entry: Mapping[str, Any] = settings.TASKS[self.backend]
        with self.with_params(OPTIONS={**entry.get("OPTIONS", {}), **self.retry_options}):
            return self.finish_later(self.task("fail_at_first").enqueue())

    def _assert_failed(self, result: TaskResult[..., Any]) -> None:
        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertTrue(result.is_finished)
        [error] = result.errors
        self.assertIsInstance(error, TaskError)
        self.assertEqual(error.exception_class_path, "builtins.LookupError")
        self.assertIs(error.exception_class, LookupError)
        self.assertIn("LookupError: as told", error.traceback)
        self.assertIn(TASKS_MODULE.replace(".", "/"), error.traceback.replace("\\", "/"))
