"""`manage.py prune_tasks`: old results are deleted in small batches."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError
from django.utils import timezone

from hosting.ids import uuid7_at
from hosting.management.commands import prune_tasks
from hosting.models import JobResult
from hosting.queues.stores import pruning
from hosting.testing import drain
from tests.testing import tasks

pytestmark = pytest.mark.django_db


def prune(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("prune_tasks", *arguments, stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def results() -> list[Any]:
    """Three successes and a failure, of which two and the failure are ten days old."""
    enqueued = [tasks.note.enqueue(each) for each in range(3)] + [tasks.fail.enqueue()]
    drain(errors="collect")
    then = timezone.now() - timedelta(days=10)
    for second, result in enumerate((enqueued[0], enqueued[1], enqueued[3])):
        made = uuid7_at(then.timestamp() + second)  # an id holds when it was made
        JobResult.objects.filter(id=result.id).update(id=made, finished_at=then)
    return enqueued


@pytest.mark.usefixtures("results")
class TestPrune:
    def test_by_retention(self) -> None:
        assert prune() == ["SUCCESSFUL: 2 deleted", "FAILED: 0 deleted", "2 results deleted."]
        assert JobResult.objects.count() == 2

    def test_older_than(self) -> None:
        assert prune("--older-than", "9d")[-1] == "3 results deleted."
        assert prune("--older-than", "0s")[-1] == "1 results deleted."

    @pytest.mark.parametrize("option", [(), ("--dry-run",)], ids=["deleting", "counting"])
    def test_older_than_any_database_can_say(self, option: tuple[str, ...]) -> None:
        assert prune("--older-than", "999999999w", *option)[-1].startswith("0 results")

    def test_of_one_status(self) -> None:
        lines = prune("--older-than", "9d", "--status", "failed")

        assert lines == ["FAILED: 1 deleted", "1 results deleted."]

    def test_a_dry_run_counts_and_deletes_nothing(self) -> None:
        lines = prune("--older-than", "9d", "--dry-run")

        assert lines == [
            "SUCCESSFUL: 2 would be deleted",
            "FAILED: 1 would be deleted",
            "3 results would be deleted.",
        ]
        assert JobResult.objects.count() == 4

    def test_in_batches_with_progress(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._small_batches(monkeypatch)

        lines = prune("--older-than", "9d")

        assert lines[:3] == [
            "SUCCESSFUL: 1 deleted so far",
            "SUCCESSFUL: 2 deleted so far",
            "SUCCESSFUL: 2 deleted",
        ]

    def test_an_interruption_keeps_what_is_done(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._small_batches(monkeypatch)

        class Interrupting(StringIO):
            def flush(self) -> None:
                raise KeyboardInterrupt

        with pytest.raises(CommandError, match="Interrupted") as caught:
            call_command("prune_tasks", "--older-than", "9d", stdout=Interrupting())

        assert caught.value.returncode == 130
        assert JobResult.objects.count() == 3

    @staticmethod
    def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (prune_tasks, pruning):
            monkeypatch.setattr(module, "BATCH", 1)


def test_what_is_kept_for_ever(settings: Any) -> None:
    options = {"RETENTION": {"FAILED": None}}
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}

    assert "FAILED: kept for ever, as RETENTION says" in prune()


@pytest.mark.parametrize("span", ["7", "d", "-1d", "1.5h", "1y"])
def test_a_span_that_is_not_allowed(span: str) -> None:
    with pytest.raises(CommandError, match="allowed: a whole number and one of s, m, h, d, w"):
        prune(f"--older-than={span}")


@pytest.mark.parametrize("option", [(), ("--dry-run",)], ids=["deleting", "counting"])
def test_a_database_that_is_not_migrated(
    monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
) -> None:
    def oldest(tables: object) -> None:
        raise ProgrammingError("no such table\nLINE 1: SELECT")

    monkeypatch.setattr(pruning, "_oldest", oldest)
    with pytest.raises(CommandError, match=r"\(no such table\): is it migrated"):
        prune(*option)
