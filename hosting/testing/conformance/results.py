"""How a result is found again, and how it is brought up to date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from asgiref.sync import async_to_sync

from hosting.compat import (
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
)
from hosting.testing.conformance.case import ConformanceCase

#: Ids that no backend gives, some of which its storage may not even take.
STRANGE_IDS = ["", " ", "0", "-1", "no such id", "x" * 1000, "a\x00b", "\N{SNOWMAN}", "../id", "%s"]

#: What `refresh` leaves as it was stored.
KEPT = (
    "id",
    "status",
    "enqueued_at",
    "started_at",
    "finished_at",
    "last_attempted_at",
    "args",
    "kwargs",
    "backend",
    "errors",
    "worker_ids",
)


class Results(ConformanceCase):
    """`get_result`, `aget_result`, `refresh` and `arefresh`."""

    def setUp(self) -> None:
        super().setUp()
        if self._testMethodName in vars(Results):
            self.require("supports_get_result")

    def test_a_result_is_found_as_it_was_returned(self) -> None:
        result = self.task("echo").enqueue((1,), b"text", named=("x",))
        for found in (self.task("echo").get_result(result.id), self.subject.get_result(result.id)):
            self.assertIsInstance(found, TaskResult)
            self.assertEqual(found.task, result.task)
            if not self.immediate:
                self._assert_same(found, result)

    def test_a_coroutine_finds_the_same_result(self) -> None:
        result = self.execute("add", 1)
        self._assert_same(async_to_sync(self.task("add").aget_result)(result.id), result)
        self._assert_same(async_to_sync(self.subject.aget_result)(result.id), result)

    def test_a_result_is_found_on_another_thread(self) -> None:
        result = self.task("add").enqueue(1, b=2)
        found = self.in_thread(lambda: self.task("add").get_result(result.id))
        self.assertEqual((found.id, found.args, found.kwargs), (result.id, [1], {"b": 2}))
        self.finish(result)
        found = self.in_thread(lambda: self.task("add").get_result(result.id))
        self.assertEqual(found.return_value, 3)

    def test_an_unknown_id_has_no_result(self) -> None:
        taken = self.task("add").enqueue(1).id
        unknown = [str(uuid4()), uuid4().hex, "x" * len(taken), taken + "0", taken[:-1]]
        for result_id in unknown:
            with self.subTest(result_id=result_id):
                self._assert_missing(result_id)

    def test_a_malformed_id_has_no_result(self) -> None:
        for result_id in STRANGE_IDS:
            with self.subTest(result_id=result_id):
                self._assert_missing(result_id)

    def test_a_result_of_another_task_is_a_mismatch(self) -> None:
        result = self.task("add").enqueue(1)
        for get_result in self._ways_through("echo"):
            with self.assertRaises(TaskResultMismatch):
                get_result(result.id)

    def test_refresh_brings_a_result_up_to_date(self) -> None:
        self._assert_refreshed(lambda result: result.refresh())

    def test_arefresh_brings_a_result_up_to_date(self) -> None:
        self._assert_refreshed(lambda result: async_to_sync(result.arefresh)())

    def test_refresh_brings_the_errors_of_a_failure(self) -> None:
        result = self.task("fail").enqueue("as told")
        self.run_all()
        result.refresh()
        self.assertEqual(result.status, TaskResultStatus.FAILED)
        self.assertEqual([error.exception_class for error in result.errors], [LookupError])

    def _assert_refreshed(self, refresh: Callable[[TaskResult[..., Any]], None]) -> None:
        result = self.task("add").enqueue(1, b=2)
        self.run_all()
        if not self.immediate:
            self.assertEqual(result.status, TaskResultStatus.READY, "before it is refreshed")
        refresh(result)
        self.assertEqual((result.return_value, result.attempts), (3, 1))
        self._assert_same(result, self.task("add").get_result(result.id))

    def _assert_missing(self, result_id: str) -> None:
        for get_result in self._ways_through("add"):
            with self.assertRaises(TaskResultDoesNotExist):
                get_result(result_id)

    def _ways_through(self, name: str) -> list[Callable[[str], Any]]:
        return [self.task(name).get_result, async_to_sync(self.task(name).aget_result)]

    def _assert_same(self, found: TaskResult[..., Any], result: TaskResult[..., Any]) -> None:
        for name in KEPT:
            self.assertEqual(getattr(found, name), getattr(result, name), name)
