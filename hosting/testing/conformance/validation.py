"""What must be refused, before anything is stored; and the backend's own checks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils import timezone

from hosting.compat import InvalidTask
from hosting.testing.conformance.case import ConformanceCase


async def _coroutine_function() -> None:
    """Is at module level, but only some backends execute it."""


def _without_context(word: str) -> None:
    """Has no argument for the context."""


class Validation(ConformanceCase):
    """`validate_task`, QUEUES, and `check`."""

    def test_a_function_that_is_not_at_module_level_is_refused(self) -> None:
        def nested() -> None:
            """Cannot be found by a path."""

        for function in (nested, lambda: None, len, "text".upper):
            with self.subTest(function=function), self.assertRaises(InvalidTask):
                self.make_task(function)

    def test_a_task_without_the_context_that_it_takes_is_refused(self) -> None:
        with self.assertRaises(InvalidTask):
            self.make_task(_without_context, takes_context=True)

    def test_a_coroutine_function_is_refused_unless_supported(self) -> None:
        if self.subject.supports_async_task:
            self.skipTest("supports_async_task of the backend is True")
        with self.assertRaises(InvalidTask):
            self.make_task(_coroutine_function)

    def test_a_priority_is_refused_unless_supported(self) -> None:
        if self.subject.supports_priority:
            self.skipTest("supports_priority of the backend is True")
        with self.assertRaises(InvalidTask):
            self.task("add").using(priority=1)

    def test_run_after_is_refused_unless_supported(self) -> None:
        if self.subject.supports_defer:
            self.skipTest("supports_defer of the backend is True")
        with self.assertRaises(InvalidTask):
            self.task("add").using(run_after=timezone.now() + timedelta(hours=1))

    def test_a_priority_out_of_range_is_refused(self) -> None:
        self.require("supports_priority")
        for priority in (-101, 101, 1.5):
            with self.subTest(priority=priority), self.assertRaises(InvalidTask):
                self.task("add").using(priority=priority)
        for priority in (-100, 100):
            self.assertEqual(self.task("add").using(priority=priority).priority, priority)

    def test_a_naive_run_after_is_refused_under_use_tz(self) -> None:
        self.require("supports_defer")
        if not settings.USE_TZ:
            self.skipTest("USE_TZ is False")
        with self.assertRaises(InvalidTask):
            self.task("add").using(run_after=datetime(2030, 1, 1))
        aware = datetime(2030, 1, 1, tzinfo=UTC)
        self.assertEqual(self.task("add").using(run_after=aware).run_after, aware)

    def test_a_queue_that_the_settings_do_not_name_is_refused(self) -> None:
        task = self.task("add")
        with self.with_params(QUEUES=[task.queue_name, "known"]):
            self.assertEqual(task.using(queue_name="known").queue_name, "known")
            with self.assertRaises(InvalidTask):
                task.using(queue_name="unknown")

    def test_every_queue_is_allowed_if_the_settings_name_none(self) -> None:
        with self.with_params(QUEUES=[]):
            self.assertEqual(self.task("add").using(queue_name="any").queue_name, "any")

    def test_enqueue_validates_again(self) -> None:
        task = self.task("add")
        with self.with_params(QUEUES=["another"]):
            with self.assertRaises(InvalidTask):
                task.enqueue(1)
            self.assertEqual(self.heard, [])

    def test_arguments_that_are_not_json_are_refused(self) -> None:
        value: Any
        for value in (object(), {1, 2}, timezone.now(), [{"deep": {3}}]):
            with self.subTest("an argument", value=value), self.assertRaises(TypeError):
                self.task("echo").enqueue(value)
            with self.subTest("a keyword argument", value=value), self.assertRaises(TypeError):
                self.task("echo").enqueue(value=value)
        self.run_all()
        self.assertEqual(self.heard, [], "A task was announced although its call was refused.")

    def test_bytes_that_are_no_text_are_refused(self) -> None:
        with self.assertRaises((TypeError, ValueError)):
            self.task("echo").enqueue(b"\xff")
        self.assertEqual(self.heard, [])

    def test_check_finds_no_error(self) -> None:
        found = list(self.subject.check())
        for message in found:
            self.assertIsInstance(message, checks.CheckMessage)
        self.assertEqual([each for each in found if each.level >= checks.ERROR], [])
