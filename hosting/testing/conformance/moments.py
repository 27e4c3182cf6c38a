"""Which task comes first, and which does not come yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from hosting.compat import TaskResultStatus
from hosting.testing.conformance.case import ConformanceCase

#: How long a task is put off that is to be executed after all (seconds).
SHORT = 0.25


class Moments(ConformanceCase):
    """`priority` and `run_after`."""

    def test_a_higher_priority_comes_first(self) -> None:
        self.require("supports_priority")
        self.require_statement("immediate", False)
        add, priorities = self.task("add"), [0, -100, 50, 100, -1]
        enqueued = {each: add.using(priority=each).enqueue(each) for each in priorities}
        self.run_all()
        latest = [self.latest(enqueued[each]) for each in sorted(priorities, reverse=True)]
        # Those that a backend takes at once may have started at the same moment.
        moments = [self.assert_time(each.started_at) for each in latest]
        self.assertEqual(moments, sorted(moments))

    def test_a_result_keeps_priority_and_queue(self) -> None:
        changes: dict[str, Any] = {"queue_name": "another"}
        if self.subject.supports_priority:
            changes["priority"] = 7
        with self.with_params(QUEUES=[]):
            task = self.task("add").using(**changes)
            result = task.enqueue(1)
            self.assertEqual(result.task, task)
            if self.subject.supports_get_result:
                self.assertEqual(task.get_result(result.id).task, task)

    def test_a_task_is_not_executed_before_its_time(self) -> None:
        self.require("supports_defer")
        at = timezone.now() + timedelta(hours=1)
        result = self.task("add").using(run_after=at).enqueue(1)
        self.assertEqual(result.task.run_after, at)
        self.run_all()
        self.assert_none_started()
        if self.subject.supports_get_result:
            latest = self.latest(result)
            self.assertEqual(latest.task.run_after, at)
            self.assertEqual((latest.status, latest.attempts), (TaskResultStatus.READY, 0))

    def test_a_task_is_executed_when_its_time_has_come(self) -> None:
        self.require("supports_defer", "supports_get_result")
        at = timezone.now() + timedelta(seconds=SHORT)
        result = self.finish_later(self.task("add").using(run_after=at).enqueue(1))
        self.assertGreaterEqual(self.assert_time(result.started_at), at)

    def test_a_task_whose_time_has_passed_is_executed(self) -> None:
        self.require("supports_defer")
        at = timezone.now() - timedelta(hours=1)
        result = self.finish(self.task("add").using(run_after=at).enqueue(1))
        self.assertEqual(result.return_value, 1)

    def test_a_task_that_is_put_off_does_not_hold_up_others(self) -> None:
        self.require("supports_defer")
        at = timezone.now() + timedelta(hours=1)
        self.task("add").using(run_after=at).enqueue(1)
        self.assertEqual(self.execute("add", 2).return_value, 2)
