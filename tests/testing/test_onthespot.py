"""Services on the spot: a tick, and a day in no time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hosting import BackgroundService, CancellationToken, ScopedService, TimedService
from hosting.models import Limit
from hosting.scope import Scope
from hosting.testing import assert_enqueued, play, tick
from tests.testing import tasks

pytestmark = pytest.mark.usefixtures("database")


class Minutely(TimedService):
    interval = 60

    def tick(self, stopping: CancellationToken) -> None:
        tasks.note.enqueue(self.unit_count)


class Nightly(TimedService):
    cron = "30 2 * * *"

    def tick(self, stopping: CancellationToken) -> None:
        tasks.calls.append(threading.current_thread())


class Asynchronous(TimedService):
    interval = 60

    async def tick(self, stopping: CancellationToken) -> None:
        await Limit.objects.acreate(key=f"tick {self.unit_count}")


class Failing(TimedService):
    interval = 60

    def tick(self, stopping: CancellationToken) -> None:
        raise LookupError("as told")


class Importer(ScopedService):
    interval = 30

    def work(self, scope: Scope, stopping: CancellationToken) -> None:
        tasks.calls.append("work")
        scope.callback(tasks.calls.append, "the scope is over")


class Poller(BackgroundService):
    async def execute(self, stopping: CancellationToken) -> None:
        while not await stopping.wait_async(10):
            await Limit.objects.acreate(key=f"poll {await Limit.objects.acount()}")


class TestTick:
    def test_it_runs_once_in_this_thread_and_is_counted(self) -> None:
        service = Nightly()

        tick(service)

        assert tasks.calls == [threading.current_thread()]
        assert service.facts()["count"] == 1

    def test_what_it_enqueues_is_seen(self) -> None:
        tick(Minutely())

        assert_enqueued(tasks.note, args=[1])

    def test_a_coroutine_uses_the_connection_of_the_test(self) -> None:
        tick(Asynchronous())

        assert Limit.objects.get().key == "tick 1"

    def test_an_iteration_has_its_scope(self) -> None:
        tick(Importer())

        assert tasks.calls == ["work", "the scope is over"]

    def test_what_it_raises_is_raised(self) -> None:
        service = Failing()

        with pytest.raises(LookupError, match="as told"):
            tick(service)

        assert service.facts()["failures"] == 1

    def test_or_logged_as_in_a_host(self, caplog: pytest.LogCaptureFixture) -> None:
        tick(Failing(), errors="log")

        assert "Service 'Failing': as told" in caplog.text

    def test_another_word_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="errors is 'hide', allowed: 'raise', 'log'"):
            tick(Failing(), errors="hide")


class TestPlay:
    def test_an_interval_ticks_at_once_and_then_at_its_rate(self) -> None:
        service = Minutely()

        play(service, timedelta(minutes=5))

        assert service.unit_count == 5
        assert_enqueued(tasks.note, count=5)

    def test_cron_ticks_at_its_moments(self) -> None:
        service = Nightly()

        play(service, timedelta(days=3), start=datetime(2030, 1, 1, 2, 31, tzinfo=UTC))
        assert service.unit_count == 3

        play(service, 60, start=datetime(2030, 1, 1, 2, 30, tzinfo=UTC) - timedelta(seconds=30))
        assert service.unit_count == 4

    def test_iterations_come_after_their_pause(self) -> None:
        play(Importer(), 90)

        assert tasks.calls.count("work") == 3

    def test_coroutines_use_the_connection_of_the_test(self) -> None:
        play(Poller(), 35)

        assert sorted(Limit.objects.values_list("key", flat=True)) == ["poll 0", "poll 1", "poll 2"]

    def test_what_a_tick_raises_ends_it(self) -> None:
        with pytest.raises(LookupError):
            play(Failing(), 3600)

    def test_or_is_logged_and_the_next_comes(self) -> None:
        service = Failing()

        play(service, 180, errors="log")

        assert service.failure_count == 3

    @pytest.mark.parametrize("span", [0, -1, "a day"])
    def test_a_span_is_more_than_no_time(self, span: Any) -> None:
        with pytest.raises(ValueError, match="allowed"):
            play(Minutely(), span)
