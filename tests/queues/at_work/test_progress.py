"""How far a job is: seen from outside while it runs, and kept with its result."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.queues.at_work import tasks
from tests.queues.at_work.facts import ended, stored
from tests.queues.conftest import RunningWorker, until
from tests.queues.tasks import gates

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., RunningWorker]


def progress(result: Any) -> Any:
    text = stored(result).progress
    return json.loads(text) if text else None


def test_it_is_seen_while_the_job_runs_and_kept(worker: Start) -> None:
    worker()
    result = tasks.tell_progress.enqueue("here")
    assert gates["here"].entered.wait(20)

    until(lambda: progress(result))
    assert progress(result) == {"done": 3, "of": 10, "message": "on its way ✓"}
    gates["here"].opened.set()

    ended(result)
    assert progress(result) == {"done": 10, "of": 10, "message": ""}


def test_a_failed_job_has_come_so_far(worker: Start) -> None:
    worker()

    result = ended(tasks.tell_progress_and_fail.enqueue())

    assert progress(result) == {"done": 0.5, "of": None, "message": ""}


def test_a_retry_begins_with_what_the_attempt_told(worker: Start) -> None:
    worker()
    result = tasks.tell_progress_and_fail.using(max_attempts=2).enqueue()

    until(lambda: len(stored(result).errors) == 1)
    assert progress(result) == {"done": 0.5, "of": None, "message": ""}


def test_who_tells_nothing_has_none(worker: Start) -> None:
    worker()

    assert stored(ended(tasks.note.enqueue(1))).progress == ""


def test_what_is_no_json_is_refused(worker: Start) -> None:
    worker()

    [error] = ended(tasks.tell_bad_progress.enqueue()).errors
    assert error.exception_class_path == "builtins.ValueError"
