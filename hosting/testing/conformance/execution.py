"""What a task is called with, what is announced, and what is kept of a success."""

from __future__ import annotations

from typing import Any

from hosting.compat import TaskResult, TaskResultStatus
from hosting.testing.conformance.case import ConformanceCase

#: What `task_finished` tells of an execution.
TOLD = ("status", "errors", "worker_ids", "started_at", "last_attempted_at", "finished_at")


class Execution(ConformanceCase):
    """Tasks that succeed."""

    def test_a_success_keeps_the_return_value(self) -> None:
        result = self.execute("add", 1, b=2)
        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL)
        self.assertTrue(result.is_finished)
        self.assertEqual((result.return_value, result.errors), (3, []))

    def test_a_task_may_return_nothing(self) -> None:
        result = self.execute("give_nothing")
        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL)
        self.assertIsNone(result.return_value)

    def test_arguments_arrive_as_they_were_given(self) -> None:
        args: list[Any] = [1, -2.5, "word", "\N{SNOWMAN}", "", None, True, [], {"key": [{}]}]
        result = self.execute("echo", *args, named=args)
        self.assertEqual(result.return_value, [args, {"named": args}])

    def test_a_returned_tuple_becomes_a_list(self) -> None:
        self._assert_returned("give_tuple", [1, [2, {"three": [3]}]])

    def test_returned_bytes_become_text(self) -> None:
        self._assert_returned("give_bytes", "text")

    def test_a_success_has_its_times(self) -> None:
        enqueued = self.task("add").enqueue(1)
        result = self.finish(enqueued)
        self._assert_times(result)
        self.assertEqual(result.enqueued_at, enqueued.enqueued_at)

    def test_a_success_took_one_attempt_of_one_worker(self) -> None:
        result = self.execute("add", 1)
        self.assertEqual(result.attempts, 1)
        [worker_id] = result.worker_ids
        self.assertIsInstance(worker_id, str)
        self.assertTrue(worker_id, "An id of a worker is empty.")

    def test_a_success_is_announced_step_by_step(self) -> None:
        self.require_statement("in_process")
        result = self.task("add").enqueue(1, b=2)
        self.run_all()
        self._assert_announced(result, TaskResultStatus.SUCCESSFUL)

    def test_a_failure_is_announced_step_by_step(self) -> None:
        self.require_statement("in_process")
        result = self.task("fail").enqueue("as told")
        self.run_all()
        self._assert_announced(result, TaskResultStatus.FAILED)

    def test_what_is_announced_is_what_is_kept(self) -> None:
        self.require_statement("in_process")
        for name, args in (("add", [1]), ("fail", ["as told"])):
            result = self.execute(name, *args)
            [told] = [each.result for each in self.heard.of(result, "finished")]
            for what in TOLD:
                self.assertEqual(getattr(told, what), getattr(result, what), what)

    def test_a_started_task_is_running(self) -> None:
        self.require_statement("in_process")
        result = self.execute("add", 1)
        [told] = [each.result for each in self.heard.of(result, "started")]
        self.assertEqual(told.status, TaskResultStatus.RUNNING)
        self.assertEqual(told.attempts, 1)
        self.assertIsNone(told.finished_at)
        self.assert_time(told.started_at)
        self.assertEqual(told.started_at, told.last_attempted_at)

    def test_a_running_task_is_found_as_running(self) -> None:
        self.require("supports_get_result")
        result = self.execute("look_itself_up")
        self.assertEqual(result.return_value, [TaskResultStatus.RUNNING, 1, False])

    def test_a_task_that_takes_the_context_gets_it(self) -> None:
        self._assert_told(self.execute("tell", "word"))
        self._assert_told(self.execute("tell", word="word"))

    def test_a_coroutine_function_that_takes_the_context_gets_it(self) -> None:
        self.require("supports_async_task")
        self._assert_told(self.execute("atell", "word"))

    def test_a_coroutine_function_is_executed(self) -> None:
        self.require("supports_async_task")
        self.assertEqual(self.execute("aadd", 1, b=2).return_value, 3)

    def test_all_that_is_due_is_executed(self) -> None:
        results = [self.task("add").enqueue(number) for number in range(3)]
        self.run_all()
        self.assertEqual([self.latest(each).return_value for each in results], [0, 1, 2])

    def test_a_task_is_executed_once(self) -> None:
        self.require_statement("in_process")
        result = self.execute("add", 1)
        self.run_all()
        self.assertEqual(len(self.heard.of(result, "started")), 1)
        self.assertEqual(self.latest(result).attempts, 1)

    def _assert_returned(self, name: str, value: Any) -> None:
        result = self.execute(name)
        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL, result.errors)
        self.assertEqual(result.return_value, value)
        for told in self.heard.of(result, "finished"):
            self.assertEqual(told.result.return_value, value, "as task_finished has it")

    def _assert_times(self, result: TaskResult[..., Any]) -> None:
        times = [
            self.assert_time(time)
            for time in (result.enqueued_at, result.started_at, result.finished_at)
        ]
        self.assertEqual(times, sorted(times), "It is enqueued, started and finished in turn.")
        self.assertEqual(result.last_attempted_at, result.started_at)

    def _assert_announced(self, result: TaskResult[..., Any], end: TaskResultStatus) -> None:
        told = self.heard.of(result)
        self.assertEqual([each.name for each in told], ["enqueued", "started", "finished"])
        self.assertEqual(
            [each.result.status for each in told],
            [TaskResultStatus.READY, TaskResultStatus.RUNNING, end],
        )
        for each in told:
            self.assertIs(each.sender, type(self.subject), f"the sender of task_{each.name}")

    def _assert_told(self, result: TaskResult[..., Any]) -> None:
        self.assertEqual(result.status, TaskResultStatus.SUCCESSFUL, result.errors)
        expected = ["word", 1, result.id, TaskResultStatus.RUNNING, True]
        self.assertEqual(result.return_value, expected)
