"""What was enqueued, and time that passes for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hosting.queues.execution import JobExpired
from hosting.testing import assert_enqueued, drain, enqueued, pass_time
from tests.testing import tasks
from tests.testing.tasks import calls

pytestmark = pytest.mark.usefixtures("database")

HOUR = timedelta(hours=1)


class TestAssertEnqueued:
    def test_it_finds_what_is_there_and_returns_it(self) -> None:
        moment = timezone.now() + HOUR
        result = tasks.note.using(queue_name="mail", run_after=moment).enqueue((1, 2))

        [job] = assert_enqueued(
            tasks.note, args=[(1, 2)], kwargs={}, count=1, queue="mail", run_after=moment
        )

        assert (job.id, job.args, job.priority) == (result.id, [[1, 2]], 0)
        assert_enqueued(tasks.note)
        assert_enqueued(tasks.note, args=[[1, 2]])

    @pytest.mark.parametrize(
        "asked",
        [
            {"args": ["b"]},
            {"kwargs": {"what": "a"}},
            {"queue": "mail"},
            {"run_after": HOUR},
            {"count": 2},
            {"count": 0},
        ],
        ids=lambda asked: next(iter(asked)),
    )
    def test_what_is_different_is_not_found(self, asked: Any) -> None:
        tasks.note.enqueue("a")

        with pytest.raises(AssertionError):
            assert_enqueued(tasks.note, **asked)

    def test_the_message_shows_what_was_asked_for_and_what_there_is(self) -> None:
        tasks.note.enqueue("a")
        tasks.once.using(queue_name="mail").enqueue(what="b")

        with pytest.raises(AssertionError) as caught:
            assert_enqueued(tasks.note, args=["b"], count=2)

        assert str(caught.value).splitlines() == [
            "0 jobs of tests.testing.tasks.note with args ['b'], expected: 2. "
            "Enqueued and not ended in 'default':",
            "  tests.testing.tasks.note('a'), queue 'default'",
            "  tests.testing.tasks.once(what='b'), queue 'mail'",
        ]

    def test_and_says_if_there_is_none(self) -> None:
        with pytest.raises(AssertionError, match=r"expected: 1 or more.*\n  no job$"):
            assert_enqueued(tasks.note)

    def test_a_timedelta_is_from_the_enqueue(self) -> None:
        tasks.note.using(run_after=HOUR).enqueue("a")

        assert_enqueued(tasks.note, run_after=HOUR)
        with pytest.raises(AssertionError, match="run_after"):
            assert_enqueued(tasks.note, run_after=2 * HOUR)


def test_what_has_ended_is_enqueued_no_more() -> None:
    tasks.note.enqueue("a")
    tasks.once.enqueue("b")
    assert [job.args for job in enqueued()] == [["a"], ["b"]]
    assert [job.args for job in enqueued(tasks.once)] == [["b"]]

    drain()

    assert enqueued() == []


class TestPassTime:
    def test_what_is_due_by_then_runs(self) -> None:
        for hours in (1, 3):
            tasks.note.using(run_after=hours * HOUR).enqueue(hours)

        pass_time(2 * HOUR)
        drain()
        assert calls == [1]

        pass_time(3600)
        drain()
        assert calls == [1, 3]

    def test_the_moment_that_was_asked_for_stays_in_the_result(self) -> None:
        moment = timezone.now() + HOUR
        result = tasks.note.using(run_after=moment).enqueue("a")

        pass_time(2 * HOUR)

        result.refresh()
        assert result.task.run_after == moment

    def test_a_retry_comes_after_its_wait(self) -> None:
        result = tasks.fail_twice.enqueue()
        for _ in range(3):
            drain(errors="collect")
            assert drain() == []
            pass_time(10)

        result.refresh()
        assert result.return_value == 3

    def test_jobs_expire(self) -> None:
        tasks.soon.enqueue()

        pass_time(61)

        with pytest.raises(JobExpired):
            drain()

    def test_rates_allow_more(self) -> None:
        for what in ("first", "second", "third"):
            tasks.seldom.enqueue(what)

        for hour in (1, 2, 3):
            drain()
            assert len(calls) == hour
            pass_time(HOUR)

    def test_periods_of_unique_jobs_end(self) -> None:
        first = tasks.daily.enqueue()
        pass_time(timedelta(hours=23))
        assert tasks.daily.enqueue().id == first.id

        pass_time(timedelta(hours=2))

        assert tasks.daily.enqueue().id != first.id
