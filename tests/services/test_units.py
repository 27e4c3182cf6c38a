"""`TimedService` and `ScopedService`: units of work, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hosting.cancellation import CancellationToken
from hosting.exceptions import OperationCancelled
from hosting.schedules import CronSchedule, IntervalSchedule, Schedule
from hosting.scope import Scope
from hosting.services import HostedService, ScopedService, ServiceState, TimedService
from hosting.services.units import UnitService
from hosting.signals import tick_finished
from tests.host.helpers import (
    PATIENCE,
    Journal,
    a_host,
    assert_no_threads_left,
    status,
    until,
    until_state,
)


@pytest.fixture
def journal() -> Iterator[Journal]:
    yield Journal()
    assert_no_threads_left()


class EveryMoment:
    """A schedule whose clock a test sets; each tick is one second after the last."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def first(self, now: float) -> float:
        return now

    def next_after(self, due: float, now: float) -> float:
        self.time = due + 1.0
        return self.time


class Ticking(TimedService):
    """Ticks as fast as it can, and fails in the ticks that it is told to fail in."""

    def __init__(self, journal: Journal, fail_in: tuple[int, ...] = ()) -> None:
        super().__init__(interval=1)
        self.journal = journal
        self.fail_in = fail_in

    def schedule(self) -> Schedule:
        return EveryMoment()

    def tick(self, stopping: CancellationToken) -> None:
        self.journal.note(f"tick {self.unit_count}")
        self.journal.note("tick")
        if self.unit_count in self.fail_in:
            raise ValueError(f"in tick {self.unit_count}")


class TickingAsync(Ticking):
    async def tick(self, stopping: CancellationToken) -> None:
        super().tick(stopping)


class Working(ScopedService):
    def __init__(self, journal: Journal) -> None:
        super().__init__(interval=0.001)
        self.journal = journal
        self.scopes: list[Scope] = []

    def work(self, scope: Scope, stopping: CancellationToken) -> None:
        scope.callback(self.journal.note, "left")
        self.scopes.append(scope)
        self.journal.note("work")


class WorkingAsync(Working):
    async def work(self, scope: Scope, stopping: CancellationToken) -> None:
        super().work(scope, stopping)


@pytest.mark.parametrize("kind", [Ticking, TickingAsync])
def test_a_timed_service_ticks_until_it_is_stopped(journal: Journal, kind: type[Ticking]) -> None:
    service = kind(journal)
    with a_host(service) as host:
        journal.wait_for("tick", times=3)
        assert status(host, kind.__name__).state is ServiceState.RUNNING
    count = journal.count("tick")
    assert service.facts()["count"] == count
    assert service.facts()["failures"] == 0
    assert service.facts()["last"] <= timezone.now().isoformat()


def test_a_timed_service_ticks_at_once() -> None:
    class Hourly(TimedService):
        interval = timedelta(hours=1)

        def __init__(self) -> None:
            super().__init__()
            self.ticked = CancellationToken()

        def tick(self, stopping: CancellationToken) -> None:
            self.ticked.cancel()

    service = Hourly()
    assert service.facts()["last"] is None
    with a_host(service):
        assert service.ticked.wait(PATIENCE)
    assert service.unit_count == 1


def test_ticks_never_overlap(journal: Journal) -> None:
    alone = threading.Lock()

    class Careful(Ticking):
        def tick(self, stopping: CancellationToken) -> None:
            assert alone.acquire(blocking=False)
            super().tick(stopping)
            alone.release()

    service = Careful(journal)
    with a_host(service):
        journal.wait_for("tick", times=20)
    assert service.failure_count == 0


@pytest.mark.parametrize("kind", [Ticking, TickingAsync])
def test_a_tick_that_raises_is_logged_and_the_next_one_comes(
    journal: Journal, caplog: pytest.LogCaptureFixture, kind: type[Ticking]
) -> None:
    service = kind(journal, fail_in=(1, 3))
    with a_host(service) as host:
        journal.wait_for("tick 4")
        assert status(host, kind.__name__).restarts == 0
    assert service.facts()["failures"] == 2
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in errors] == [
        f"Service '{kind.__name__}': in tick 1",
        f"Service '{kind.__name__}': in tick 3",
    ]
    assert all(record.exc_info for record in errors)


def test_a_service_may_crash_with_its_tick(journal: Journal) -> None:
    """Lifecycle 8: by overriding `failed`."""

    class Delicate(Ticking):
        def failed(self, error: Exception) -> None:
            raise error

    with a_host(Delicate(journal, fail_in=(2,)), stop_on_failure=False) as host:
        until(lambda: status(host, "Delicate").restarts == 1)
        assert status(host, "Delicate").last_error == "ValueError: in tick 2"


def test_a_cancelled_tick_is_no_failure(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    class Obedient(Ticking):
        def tick(self, stopping: CancellationToken) -> None:
            super().tick(stopping)
            stopping.wait()
            raise OperationCancelled

    service = Obedient(journal)
    with a_host(service):
        journal.wait_for("tick")
    assert service.facts() == {**service.facts(), "count": 1, "failures": 0}
    assert "ERROR" not in caplog.text


def test_the_end_of_a_tick_is_announced(journal: Journal) -> None:
    heard: list[tuple[type, str, float, Exception | None]] = []

    def hear(sender: type, service: str, seconds: float, error: Exception | None, **_: Any) -> None:
        heard.append((sender, service, seconds, error))

    tick_finished.connect(hear)
    try:
        with a_host(Ticking(journal, fail_in=(2,))):
            journal.wait_for("tick 3")
    finally:
        tick_finished.disconnect(hear)
    assert [(sender, service) for sender, service, *_ in heard[:2]] == [(Ticking, "Ticking")] * 2
    assert heard[0][2] >= 0
    assert heard[0][3] is None
    assert str(heard[1][3]) == "in tick 2"


def test_who_listens_to_ticks_cannot_break_them(journal: Journal) -> None:
    """What an observer does is its own affair."""

    def fail(**_: Any) -> None:
        raise ValueError("a bug in an observer")

    tick_finished.connect(fail)
    try:
        with a_host(Ticking(journal)) as host:
            journal.wait_for("tick", times=3)
            assert status(host, "Ticking").restarts == 0
    finally:
        tick_finished.disconnect(fail)


def test_a_wait_for_the_next_tick_ends_with_the_stop() -> None:
    """Lifecycle 5: and no tick comes after it."""

    class Yearly(TimedService):
        cron = "0 0 1 1 *"

        def tick(self, stopping: CancellationToken) -> None:
            raise AssertionError("it is not New Year")

    service = Yearly()
    with a_host(service) as host:
        until_state(host, "Yearly", ServiceState.RUNNING)
    assert service.unit_count == 0


@pytest.mark.parametrize("kind", [Working, WorkingAsync])
def test_a_scoped_service_has_a_scope_of_its_own_in_each_iteration(
    journal: Journal, kind: type[Working]
) -> None:
    """Lifecycle 11: and what is registered in it is left when the iteration ends."""
    service = kind(journal)
    with a_host(service):
        journal.wait_for("work", times=3)
    assert journal.lines == ["work", "left"] * service.unit_count
    assert len(set(map(id, service.scopes))) == service.unit_count


@pytest.mark.parametrize(
    ("interval", "cron", "expected"),
    [
        (5, None, IntervalSchedule),
        (timedelta(days=1), None, IntervalSchedule),
        (None, "* * * * *", CronSchedule),
    ],
)
def test_the_schedule_is_an_option(interval: Any, cron: Any, expected: type) -> None:
    class Plain(TimedService):
        def tick(self, stopping: CancellationToken) -> None: ...

    assert isinstance(Plain(interval, cron).schedule(), expected)


def test_an_option_replaces_the_schedule_of_the_class() -> None:
    class Hourly(TimedService):
        interval = 3600

        def tick(self, stopping: CancellationToken) -> None: ...

    assert isinstance(Hourly(cron="* * * * *").schedule(), CronSchedule)
    assert str(Hourly(interval=5).schedule()) == "every 5 s"
    assert str(Hourly().schedule()) == "every 3600 s"


@pytest.mark.parametrize("options", [{}, {"interval": 0}, {"interval": 5, "cron": "* * * * *"}])
def test_a_timed_service_without_a_schedule_cannot_be_made(options: dict[str, Any]) -> None:
    class Never(TimedService):
        def tick(self, stopping: CancellationToken) -> None: ...

    with pytest.raises(ValueError, match="interval"):
        Never(**options)


@pytest.mark.parametrize("kind", [TimedService, ScopedService])
@pytest.mark.parametrize("interval", [0, -1, "5", True, None, 5, timedelta(seconds=1), 1e400])
def test_checks_and_constructor_judge_an_interval_alike(kind: Any, interval: Any) -> None:
    """What `check` lets pass must not fail at start-up, and the words are the same."""
    bodies: dict[str, Any] = {"tick": lambda self, stopping: None, "work": lambda *_: None}
    made = type("Made", (kind,), {"interval": 5, **bodies})
    found = list(made.check_options({"interval": interval}))
    assert found == words_of(lambda: made(interval=interval))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interval": 5, "jitter": 5}, ["jitter is 5, allowed: less than the interval"]),
        ({"jitter": 60}, ["jitter is 60, allowed: less than the interval, which is 60 s"]),
        ({"jitter": -1}, ["jitter is -1"]),
        ({"cron": "* * * * *", "jitter": "5"}, ["jitter is '5'"]),
        ({"cron": "* * * * *", "jitter": 300}, []),
        ({"missed": "never"}, ["missed is 'never', allowed: 'skip', 'once' or 'all'"]),
        ({"missed": "all", "jitter": timedelta(seconds=59)}, []),
        ({"cron": "* * * * *", "time_zone": "Nowhere"}, ["time_zone is 'Nowhere'"]),
        ({"cron": "* * * * *", "time_zone": "Asia/Tehran"}, []),
        ({"time_zone": "Asia/Tehran"}, ["time_zone is 'Asia/Tehran', allowed: only with cron"]),
    ],
)
def test_checks_and_constructor_judge_all_timing_alike(
    options: dict[str, Any], words: list[str]
) -> None:
    class Minutely(TimedService):
        interval = 60

        def tick(self, stopping: CancellationToken) -> None: ...

    found = list(Minutely.check_options(options))
    assert found == words_of(lambda: Minutely(**options))
    assert len(found) == len(words)
    assert all(text.startswith(begin) for text, begin in zip(found, words, strict=True))


def test_all_timing_may_be_class_attributes() -> None:
    class Nightly(TimedService):
        cron = "0 3 * * *"
        time_zone = "Europe/Berlin"
        jitter = timedelta(minutes=10)
        missed = "once"

        def tick(self, stopping: CancellationToken) -> None: ...

    assert list(Nightly.check_options({})) == []
    assert str(Nightly().schedule()) == "cron 0 3 * * * (Europe/Berlin)"
    assert list(Nightly.check_options({"interval": 900})) == []
    assert str(Nightly(interval=900).schedule()) == "every 900 s"
    assert list(Nightly.check_options({"interval": 600})) != []
    assert str(Nightly(cron="0 4 * * *").schedule()) == "cron 0 4 * * * (Europe/Berlin)"


class Simulated(IntervalSchedule):
    """A schedule whose clock moves on when somebody waits; it is a token to wait on, too."""

    is_cancelled = False
    time = 100.0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> bool:
        self.time += seconds
        return False


class Slow(TimedService):
    """Its first tick takes 35 seconds, and its sixth is the last."""

    interval = 10

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.simulated = Simulated(10)
        self.delays: Iterator[float] = iter([])
        self.began: list[float] = []

    def schedule(self) -> Schedule:
        return getattr(self, "simulated", None) or super().schedule()

    def delay(self) -> float:
        return next(self.delays, 0.0)

    def tick(self, stopping: CancellationToken) -> None:
        self.began.append(self.simulated.time - 100)
        self.simulated.time += 35 if self.unit_count == 1 else 1
        self.simulated.is_cancelled = self.unit_count == 6


@pytest.mark.parametrize(
    ("missed", "began"),
    [
        ("skip", [0, 40, 50, 60, 70, 80]),
        ("once", [0, 35, 40, 50, 60, 70]),
        ("all", [0, 35, 36, 37, 40, 50]),
    ],
)
def test_what_is_done_about_missed_ticks(missed: str, began: list[float]) -> None:
    service = Slow(missed=missed)
    service.execute(service.simulated)  # type: ignore[arg-type]  # stands in
    assert service.began == began


def test_jitter_delays_a_tick_and_moves_no_other() -> None:
    service = Slow()
    service.delays = iter([3, 0, 9, 2])
    service.execute(service.simulated)  # type: ignore[arg-type]  # stands in
    assert service.began == [3, 40, 59, 62, 70, 80]


def test_jitter_is_random_up_to_what_is_allowed() -> None:
    class Jittery(TimedService):
        interval = 60
        jitter = timedelta(seconds=2)

        def tick(self, stopping: CancellationToken) -> None: ...

    service = Jittery()
    delays = [service.delay() for _ in range(200)]
    assert 0 <= min(delays) < 1 < max(delays) <= 2
    service = Jittery(jitter=0)
    assert service.delay() == 0


def words_of(call: Callable[[], object]) -> list[str]:
    """What the call refuses, if it does."""
    try:
        call()
    except ValueError as error:
        return [str(error)]
    return []


def test_a_unit_may_be_tested_without_a_host() -> None:
    """A service that no host runs has a runtime that calls directly."""
    calls: list[str] = []

    class Alone(TimedService):
        interval = 1

        async def tick(self, stopping: CancellationToken) -> None:
            calls.append(self.name)

    service = Alone()
    service.ready()
    assert not service.lifetime.started.is_cancelled
    service.run_unit(service.tick, CancellationToken())
    assert calls == [""]
    assert isinstance(service, UnitService)
    assert isinstance(service, HostedService)
