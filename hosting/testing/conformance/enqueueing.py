"""What `enqueue` returns, stores and announces."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.db import transaction

from hosting.compat import TaskResult, TaskResultDoesNotExist, TaskResultStatus
from hosting.testing.conformance.case import ConformanceCase

#: A result's id has fewer characters.
ID_LIMIT = 64


class Enqueueing(ConformanceCase):
    """`enqueue` and `aenqueue`."""

    def test_enqueue_returns_a_result(self) -> None:
        task = self.task("add")
        result = task.enqueue(1, b=2)
        self.assertIsInstance(result, TaskResult)
        self.assertEqual((result.task, result.backend), (task, self.backend))
        self.assertEqual((result.args, result.kwargs), ([1], {"b": 2}))

    def test_a_new_result_is_ready(self) -> None:
        self.require_statement("immediate", False)
        result = self.task("add").enqueue(1)
        self.assertEqual(result.status, TaskResultStatus.READY)
        self.assertFalse(result.is_finished)
        self.assertEqual((result.errors, result.worker_ids, result.attempts), ([], [], 0))
        self.assertEqual(
            (result.started_at, result.last_attempted_at, result.finished_at), (None, None, None)
        )
        with self.assertRaises(ValueError):
            _ = result.return_value

    def test_an_id_is_a_short_string_of_its_own(self) -> None:
        ids = [self.task("add").enqueue(1).id for _ in range(3)]
        for each in ids:
            self.assertIsInstance(each, str)
            self.assertTrue(0 < len(each) < ID_LIMIT, f"{each!r} has {len(each)} characters.")
        self.assertEqual(len(set(ids)), len(ids))

    def test_enqueued_at_is_aware_as_use_tz_says(self) -> None:
        self.assert_time(self.task("add").enqueue(1).enqueued_at)

    def test_arguments_are_brought_to_the_types_of_json(self) -> None:
        result = self.task("echo").enqueue((1, (2,)), b"text", named={"key": (3,)})
        stored = self.latest(result) if self.subject.supports_get_result else result
        for each in (result, stored):
            self.assertEqual(each.args, [[1, [2]], "text"])
            self.assertEqual(each.kwargs, {"named": {"key": [3]}})

    def test_a_task_is_called_with_the_types_of_json(self) -> None:
        result = self.execute("name_types", (1,), b"text", {"key": 1}, None, 1.5, True)
        self.assertEqual(result.return_value, ["list", "str", "dict", "NoneType", "float", "bool"])

    def test_arguments_are_taken_when_they_are_enqueued(self) -> None:
        items = [1]
        result = self.task("echo").enqueue(items)
        items.append(2)
        self.assertEqual(self.finish(result).return_value, [[[1]], {}])

    def test_enqueueing_is_announced_once_with_the_class_as_sender(self) -> None:
        for enqueue in (self.task("add").enqueue, async_to_sync(self.task("add").aenqueue)):
            told = self.heard.of(enqueue(1), "enqueued")
            self.assertEqual(len(told), 1, "task_enqueued is to be sent once.")
            self.assertIs(told[0].sender, type(self.subject))
            self.assertEqual(told[0].result.status, TaskResultStatus.READY)
            self.assert_time(told[0].result.enqueued_at)

    def test_a_task_can_be_enqueued_by_a_coroutine(self) -> None:
        result = async_to_sync(self.task("add").aenqueue)(1, b=(2,))
        self.assertIsInstance(result, TaskResult)
        self.assertEqual((result.args, result.kwargs), ([1], {"b": [2]}))
        self.assertEqual(self.execute("add", 1, b=2).return_value, 3)

    def test_a_task_can_be_enqueued_on_another_thread(self) -> None:
        result = self.in_thread(lambda: self.task("add").enqueue(1, b=2))
        self.assertEqual(self.finish(result).return_value, 3)

    def test_a_task_is_gone_with_the_transaction_that_enqueued_it(self) -> None:
        self.require_statement("transactional")
        with transaction.atomic(using=self.database):
            result = self.task("add").enqueue(1)
            transaction.set_rollback(True, using=self.database)
        self.run_all()
        self.assert_none_started()
        if self.subject.supports_get_result:
            with self.assertRaises(TaskResultDoesNotExist):
                self.task("add").get_result(result.id)

    def test_a_task_is_executed_after_the_transaction_that_enqueued_it(self) -> None:
        self.require_statement("transactional")
        with transaction.atomic(using=self.database):
            result = self.task("add").enqueue(1, b=2)
        self.assertEqual(self.finish(result).return_value, 3)
