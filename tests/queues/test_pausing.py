"""Queues that are paused: nothing of theirs is claimed, and everything else goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hosting import pause_queue, resume_queue
from hosting.queues import served
from hosting.queues.stores import store_for
from tests.queues import tasks
from tests.queues.conftest import RunningWorker, until
from tests.queues.stores.steps import add, claim, ids

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., RunningWorker]


def to(queue: str, what: Any = None) -> Any:
    return tasks.note.using(queue_name=queue).enqueue(what or queue)


@pytest.mark.parametrize("queues", [None, ["a", "b"]], ids=["all", "named"])
def test_a_worker_leaves_a_paused_queue_alone(worker: Start, queues: Any) -> None:
    pause_queue("a")
    to("a")
    to("b")
    worker(queues=queues)
    until(lambda: tasks.calls == ["b"])
    to("b", "more")
    until(lambda: tasks.calls == ["b", "more"])

    resume_queue("a")
    until(lambda: tasks.calls == ["b", "more", "a"])


def test_a_queue_is_paused_while_a_worker_runs(
    worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "FRESH", 0.0)
    worker()
    to("a")
    until(lambda: tasks.calls == ["a"])
    pause_queue("a")
    to("a", "later")
    to("b")  # in the same look, and after it in line
    until(lambda: "b" in tasks.calls)
    assert tasks.calls == ["a", "b"]
    resume_queue("a")
    until(lambda: tasks.calls == ["a", "b", "later"])


def test_jobs_begin_as_soon_as_their_queue_is_resumed(
    worker: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "FRESH", 3600)
    pause_queue("a")
    to("a")
    running = worker(poll_interval=3600)
    running.wait_until_ready()
    lookout = running.service._shift._lookout
    until(lambda: lookout.served._paused == {"a"} and not lookout.has_more)
    resume_queue("a")
    until(lambda: tasks.calls == ["a"])


def test_what_waits_in_another_queue_comes_in_time(worker: Start) -> None:
    pause_queue("a")
    to("a")
    running = worker(poll_interval=60)
    running.wait_until_ready()
    tasks.note.using(queue_name="b", run_after=timedelta(seconds=0.3)).enqueue("due")
    until(lambda: tasks.calls == ["due"], seconds=10)


def test_a_worker_with_nothing_but_paused_jobs_rests(worker: Start) -> None:
    pause_queue("a")
    for number in range(3):
        to("a", number)
    running = worker(poll_interval=60)
    running.wait_until_ready()
    lookout = running.service._shift._lookout
    until(lambda: not lookout.has_more and lookout.pause() > 0.1)
    assert tasks.calls == []


def test_both_say_whether_they_changed_something() -> None:
    assert [pause_queue("a"), pause_queue("a")] == [True, False]
    assert [resume_queue("a"), resume_queue("a")] == [True, False]
    with pytest.raises(Exception, match="nowhere"):
        pause_queue("a", "nowhere")


def test_a_claim_gives_nothing_of_a_paused_queue_where_the_store_says_so(store: Any) -> None:
    if not store.leaves_out_paused:
        pytest.skip("the worker leaves them out")
    add(store, queue_name="a")
    other = add(store, queue_name="b")
    pause_queue("a")
    assert claim(store, queues=["a"]) == []
    assert ids(claim(store, queues=["a", "b"])) == [other]
    resume_queue("a")
    assert len(claim(store, queues=["a"])) == 1


def test_a_worker_that_knows_nothing_of_a_pause_finds_out(worker: Start) -> None:
    if not store_for("default").leaves_out_paused:
        pytest.skip("the worker reads it now and then")
    to("a")
    running = worker(poll_interval=60)
    until(lambda: tasks.calls == ["a"])
    lookout = running.service._shift._lookout
    pause_queue("a")
    to("a", "later")
    until(lambda: lookout.served._paused == {"a"} and lookout.pause() > 0.1)
    assert tasks.calls == ["a"]


def test_while_nothing_is_paused_one_read_a_second_is_all(store: Any) -> None:
    now = [0.0]
    queues = served.Served(store, "default", None, clock=lambda: now[0])
    add(store)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for _ in range(10):
            queues.refresh()
            assert queues.names() is None
    assert len(queries) == (0 if store.leaves_out_paused else 1)
    now[0] = 1.0
    store_for("default").control.pause_queue("default", "other")
    assert queues.read() if store.leaves_out_paused else queues.refresh()
    assert queues.names() == ["default"]
