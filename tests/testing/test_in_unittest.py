"""The test kit in the test cases of Django, without a fixture of pytest."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from hosting.models import Limit
from hosting.testing import assert_enqueued, drain
from tests.testing import tasks


class Both:
    """What holds in either."""

    def setUp(self) -> None:
        tasks.calls.clear()

    def test_jobs_are_enqueued_and_run(self: Any) -> None:
        tasks.write_atomically.enqueue("a")

        assert_enqueued(tasks.write_atomically, args=["a"], count=1)
        drain()

        self.assertTrue(Limit.objects.filter(key="a").exists())  # noqa: PT009 - as a user of unittest
        assert_enqueued(tasks.write_atomically, count=0)

    def test_what_another_test_wrote_is_not_there(self) -> None:
        assert not Limit.objects.exists()
        tasks.write.enqueue("b")
        drain()


class TestInATestCase(Both, TestCase):
    def test_callbacks_of_jobs_are_left_to_the_test(self) -> None:
        tasks.note_on_commit.enqueue("on commit")
        with self.captureOnCommitCallbacks(execute=True):
            drain()
            assert tasks.calls == []
        assert tasks.calls == ["on commit"]


class TestInATransactionTestCase(Both, TransactionTestCase):
    def test_callbacks_of_jobs_are_called_at_their_commit(self) -> None:
        assert not connection.in_atomic_block
        tasks.note_on_commit.enqueue("on commit")
        drain()
        assert tasks.calls == ["on commit"]
        transaction.on_commit(lambda: None)
