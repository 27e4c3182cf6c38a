"""What follows from the end of a worker process, and in which order they are replaced."""

import logging
import signal
from collections.abc import Callable

import pytest

from hosting.backoff import Backoff
from hosting.conf import HostingSettings
from hosting.process import exits, supervisor
from hosting.process.slots import HARDLY_UP, MERCY, Slot, State
from hosting.process.supervisor import Supervisor
from hosting.process.systemd import Silence

KILLED = -signal.SIGKILL
SHUTDOWN = HostingSettings().shutdown_timeout


class FakeLine:
    """A lifeline of which the test says what comes on it."""

    def __init__(self) -> None:
        self.may_speak = True
        self.is_held = True

    def fileno(self) -> int:
        return -1

    def hears_up(self) -> bool:
        says_up, self.may_speak = not self.may_speak, True
        return says_up

    def let_go(self) -> None:
        self.is_held = False


class FakeProcess:
    """A worker process that ends when the test says so."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.line = FakeLine()
        self.code: int | None = None
        self.was_killed = False

    def ended(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.was_killed = True


class Workers:
    """The processes that were started, the last one of each slot by its number."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.of: dict[int, FakeProcess] = {}
        self.trouble: OSError | None = None

    def start(self, number: int) -> FakeProcess:
        if self.trouble:
            raise self.trouble
        self.started.append(number)
        self.of[number] = FakeProcess(1000 + len(self.started))
        return self.of[number]


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def slot(workers: Workers) -> Slot:
    """A slot whose process is up, at the moment 0; a backoff is of exactly 1, 2, 4 … seconds."""
    settings = HostingSettings(max_restarts=2, restart_period=60)
    made = Slot(1, workers.start, settings, ExactBackoff(initial=1))
    made.tend(0)
    say_up(workers, made)
    return made


class ExactBackoff(Backoff):
    def delay(self, failures: int, pick: Callable[[], float] = lambda: 1.0) -> float:
        return super().delay(failures, pick)


def say_up(workers: Workers, slot: Slot, now: float = 0) -> None:
    workers.of[slot.number].line.may_speak = False
    slot.tend(now)
    assert slot.state is State.UP


def end(workers: Workers, slot: Slot, code: int, now: float) -> None:
    """The slot's process ends at that moment, and the slot is told."""
    workers.of[slot.number].code = code
    slot.tend(now)


class TestAnEndThatNobodyAskedFor:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (1, "exited with 1"),
            (KILLED, "was killed by SIGKILL"),
            (-signal.SIGSEGV, "was killed by SIGSEGV"),
            (-40, "was killed by signal 40"),
        ],
    )
    def test_a_failure_is_followed_by_another_process_after_a_backoff(
        self, slot: Slot, workers: Workers, caplog: pytest.LogCaptureFixture, code: int, words: str
    ) -> None:
        end(workers, slot, code, now=10)
        assert (slot.state, slot.due) == (State.WAITING, 11)
        [record] = caplog.records
        assert record.levelno == logging.WARNING
        assert record.getMessage() == (
            f"Worker 1 (process 1001) {words}; another is started in 1.00 s"
        )

        slot.tend(10.9)
        assert len(workers.started) == 1
        slot.tend(11)
        assert (len(workers.started), slot.state) == (2, State.STARTING)

    def test_each_failure_in_the_period_doubles_the_wait_and_too_many_are_the_end(
        self, slot: Slot, workers: Workers
    ) -> None:
        end(workers, slot, KILLED, now=10)
        slot.tend(11)
        end(workers, slot, KILLED, now=20)
        assert slot.due == 22
        slot.tend(22)
        end(workers, slot, KILLED, now=30)

        assert slot.state is State.OVER
        assert slot.failure == (
            "Worker 1 (process 1003) was killed by SIGKILL, failure 3 within 60 s, "
            "MAX_RESTARTS is 2"
        )

    def test_old_failures_are_forgotten(self, slot: Slot, workers: Workers) -> None:
        for moment in (100, 200, 300, 400):
            end(workers, slot, 1, now=moment)
            assert slot.due == moment + 1
            slot.tend(moment + 1)

    def test_a_request_to_be_replaced_is_met_at_once_however_often_it_comes(
        self, slot: Slot, workers: Workers
    ) -> None:
        for moment in range(10, 110, 10):
            end(workers, slot, exits.RECYCLE, now=moment)
            assert slot.state is State.STARTING
            say_up(workers, slot, now=moment + 10 - HARDLY_UP)
        assert (len(workers.started), slot.failure) == (11, None)

    def test_unless_the_process_is_hardly_up(
        self, slot: Slot, workers: Workers, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A service that takes too much memory at its start does so in every process."""
        moment = 0.0
        for pause in (1, 2, 4, 8, 16, 30, 30):
            moment += HARDLY_UP - 0.1
            end(workers, slot, exits.RECYCLE, now=moment)
            assert (slot.state, slot.due) == (State.WAITING, moment + pause)
            moment += pause
            slot.tend(moment)
            say_up(workers, slot, now=moment)
        assert slot.failure is None  # for it is no failure
        assert caplog.records[0].levelno == logging.WARNING
        assert caplog.messages[0] == (
            "Worker 1 (process 1001) asks to be replaced, and was hardly up; "
            "another is started in 1.00 s"
        )

        end(workers, slot, exits.RECYCLE, now=moment + HARDLY_UP)  # this one has worked
        say_up(workers, slot, now=moment + HARDLY_UP)
        end(workers, slot, exits.RECYCLE, now=moment + HARDLY_UP + 1)
        assert slot.due == moment + HARDLY_UP + 2

    def test_nor_if_it_was_not_up_at_all(self, slot: Slot, workers: Workers) -> None:
        end(workers, slot, exits.RECYCLE, now=10)
        end(workers, slot, exits.RECYCLE, now=20)
        assert slot.due == 21

    def test_a_clean_end_is_an_end(self, slot: Slot, workers: Workers) -> None:
        end(workers, slot, 0, now=10)
        slot.tend(1000)

        assert (slot.state, slot.failure, slot.has_failed) == (State.OVER, None, False)
        assert len(workers.started) == 1

    def test_a_process_that_cannot_be_started_is_a_failure(
        self, slot: Slot, workers: Workers
    ) -> None:
        workers.trouble = OSError("no memory")
        end(workers, slot, exits.RECYCLE, now=10)
        assert (slot.state, slot.due) == (State.WAITING, 11)
        slot.tend(11)
        slot.tend(13)
        assert slot.failure is not None
        assert "Worker 1 cannot be started: no memory" in slot.failure


class TestAProcessThatIsAskedToStop:
    @pytest.mark.parametrize(
        ("code", "has_failed"),
        [(0, False), (exits.RECYCLE, False), (-signal.SIGTERM, False), (1, True), (KILLED, True)],
    )
    def test_ends_and_how_it_did_counts(
        self, slot: Slot, workers: Workers, code: int, has_failed: bool
    ) -> None:
        slot.ask(10)
        assert not workers.of[1].line.is_held
        end(workers, slot, code, now=12)

        assert (slot.state, slot.has_failed) == (State.OVER, has_failed)
        assert len(workers.started) == 1

    @pytest.mark.parametrize("code", [0, exits.RECYCLE, 1])
    def test_or_is_replaced_at_once(self, slot: Slot, workers: Workers, code: int) -> None:
        slot.ask(10, replace=True)
        end(workers, slot, code, now=12)

        assert (slot.state, len(workers.started), slot.failure) == (State.STARTING, 2, None)

    def test_is_not_replaced_if_all_are_asked_meanwhile(self, slot: Slot, workers: Workers) -> None:
        slot.ask(10, replace=True)
        slot.ask(11)
        end(workers, slot, 0, now=12)

        assert slot.state is State.OVER

    def test_is_killed_long_after_its_host_should_have_stopped(
        self, slot: Slot, workers: Workers
    ) -> None:
        slot.ask(10)
        slot.tend(10 + SHUTDOWN + MERCY - 0.1)
        assert not workers.of[1].was_killed
        slot.tend(10 + SHUTDOWN + MERCY)
        assert (workers.of[1].was_killed, slot.due) == (True, None)

    def test_is_not_waited_for_where_there_is_none(self, slot: Slot, workers: Workers) -> None:
        end(workers, slot, KILLED, now=10)
        slot.ask(10.5)
        slot.tend(60)

        assert (slot.state, slot.has_failed, len(workers.started)) == (State.OVER, False, 1)


class TestARollingRestart:
    @pytest.fixture
    def slots(self, workers: Workers) -> list[Slot]:
        return [Slot(number, workers.start, HostingSettings()) for number in (1, 2, 3)]

    @pytest.fixture
    def supervising(self, slots: list[Slot], workers: Workers) -> Supervisor:
        """Three slots, all up."""
        made = Supervisor(slots, clock=lambda: 10.0)
        made.tend()
        for slot in slots:
            say_up(workers, slot)
        return made

    def replace(self, supervising: Supervisor, workers: Workers, number: int) -> None:
        """Have the asked process of that slot end, and the next one say that it is up."""
        workers.of[number].code = 0
        supervising.tend()
        workers.of[number].line.may_speak = False
        supervising.tend()

    def test_asks_one_after_the_other_each_once_the_one_before_is_up(
        self, supervising: Supervisor, workers: Workers, slots: list[Slot]
    ) -> None:
        supervising.restart()
        supervising.tend()
        asked = []
        while len(asked) < 3:
            supervising.tend()  # asks no second one while the first has not ended
            [number] = [slot.number for slot in slots if slot.state is State.ASKED]
            asked.append(number)
            self.replace(supervising, workers, number)

        supervising.tend()
        assert asked == [1, 2, 3]
        assert workers.started == [1, 2, 3, 1, 2, 3]
        assert {slot.state for slot in slots} == {State.UP}

    def test_leaves_out_who_has_ended_for_good(
        self, supervising: Supervisor, workers: Workers, slots: list[Slot]
    ) -> None:
        workers.of[1].code = 0
        supervising.tend()
        supervising.restart()
        supervising.tend()
        assert [slot.state for slot in slots] == [State.OVER, State.ASKED, State.UP]

    def test_passes_over_who_ends_for_good_meanwhile(
        self, supervising: Supervisor, workers: Workers, slots: list[Slot]
    ) -> None:
        supervising.restart()
        supervising.tend()
        workers.of[2].code = 0
        self.replace(supervising, workers, 1)
        assert [slot.state for slot in slots] == [State.UP, State.OVER, State.ASKED]

    def test_ends_with_a_stop(
        self, supervising: Supervisor, workers: Workers, slots: list[Slot]
    ) -> None:
        supervising.restart()
        supervising.tend()
        supervising.stop()
        for number in (1, 2, 3):
            workers.of[number].code = 0
        supervising.tend()
        supervising.tend()

        assert workers.started == [1, 2, 3]
        assert {slot.state for slot in slots} == {State.OVER}

    def test_is_not_what_the_end_of_the_terminal_means(
        self, monkeypatch: pytest.MonkeyPatch, workers: Workers, slots: list[Slot]
    ) -> None:
        """It comes as SIGHUP too; and whoever closes a window wants no worker to stay behind."""
        monkeypatch.setattr(supervisor, "has_terminal", lambda: True)
        supervising = Supervisor(slots)
        supervising.tend()
        monkeypatch.setattr(supervisor, "has_terminal", lambda: False)
        supervising.restart()
        supervising.tend()

        assert {slot.state for slot in slots} == {State.ASKED}


class TestARollingRestartToWhatDoesNotComeUp:
    """A broken deployment costs one worker, not all of them."""

    @pytest.fixture
    def slots(self, workers: Workers) -> list[Slot]:
        settings, backoff = HostingSettings(max_restarts=2), ExactBackoff(initial=1, maximum=4)
        return [Slot(number, workers.start, settings, backoff) for number in (1, 2, 3)]

    @pytest.fixture
    def supervising(self, slots: list[Slot], workers: Workers) -> Supervisor:
        """Three slots that were all up, of which the first is being replaced."""
        self.now = 10.0
        made = Supervisor(slots, clock=lambda: self.now)
        made.tend()
        for slot in slots:
            say_up(workers, slot, self.now)
        made.restart()
        made.tend()
        workers.of[1].code = 0
        made.tend()
        assert [slot.state for slot in slots] == [State.STARTING, State.UP, State.UP]
        return made

    def fail(self, supervising: Supervisor, workers: Workers, number: int = 1) -> None:
        workers.of[number].code = 1
        supervising.tend()

    def fail_often(self, supervising: Supervisor, workers: Workers, number: int = 1) -> None:
        for _ in range(5):
            self.fail(supervising, workers, number)
            self.now += 4
            supervising.tend()

    def test_is_broken_off_at_the_first_one(
        self,
        supervising: Supervisor,
        workers: Workers,
        slots: list[Slot],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        self.fail_often(supervising, workers)

        assert [slot.state for slot in slots] == [State.STARTING, State.UP, State.UP]
        assert all(workers.of[number].line.is_held for number in (2, 3))
        assert workers.started == [1, 2, 3, *[1] * 6]
        assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
            "The rolling restart is broken off, and those that are up stay as they are, as a "
            "replacement has not come up: Worker 1 (process 1004) exited with 1"
        ]
        pauses = [message[-6:] for message in caplog.messages if "is started in" in message]
        assert pauses == ["1.00 s", "2.00 s", "4.00 s", "4.00 s", "4.00 s"]

    def test_and_whoever_comes_up_after_all_is_the_last(
        self, supervising: Supervisor, workers: Workers, slots: list[Slot]
    ) -> None:
        self.fail(supervising, workers)
        self.now += 1
        supervising.tend()
        workers.of[1].line.may_speak = False
        supervising.tend()
        supervising.tend()
        assert {slot.state for slot in slots} == {State.UP}
        assert workers.started == [1, 2, 3, 1, 1]

    def test_counts_as_soon_as_no_other_is_up(
        self, supervising: Supervisor, workers: Workers, slots: list[Slot]
    ) -> None:
        self.fail_often(supervising, workers)
        for number in (2, 3):
            workers.of[number].code = 0
        self.fail_often(supervising, workers)
        assert slots[0].failure is not None
        assert "failure 3 within 60 s" in slots[0].failure

    def test_is_not_what_others_die_of(
        self, supervising: Supervisor, workers: Workers, slots: list[Slot]
    ) -> None:
        """One of those that work dies, and cannot come up any more either."""
        self.fail(supervising, workers)
        self.fail_often(supervising, workers, number=2)
        assert [slot.failure for slot in slots] == [None, None, None]
        assert slots[2].state is State.UP

    @pytest.mark.parametrize("is_waiting", [True, False])
    def test_begins_anew_with_the_next_signal(
        self,
        supervising: Supervisor,
        workers: Workers,
        slots: list[Slot],
        is_waiting: bool,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """The process that waits, or begins and has read what was there, is started anew first."""
        self.fail(supervising, workers)
        if not is_waiting:
            self.now += 1
            supervising.tend()
        supervising.restart()
        supervising.tend()
        if not is_waiting:
            self.fail(supervising, workers)
        assert workers.started == [1, 2, 3, 1, 1] if is_waiting else [1, 2, 3, 1, 1, 1]
        assert slots[0].state is State.STARTING
        assert caplog.text.count("is broken off") == 1

        workers.of[1].line.may_speak = False
        supervising.tend()
        for number in (2, 3):
            assert [slot.number for slot in slots if slot.state is State.ASKED] == [number]
            workers.of[number].code = 0
            supervising.tend()
            workers.of[number].line.may_speak = False
            supervising.tend()
        assert {slot.state for slot in slots} == {State.UP}

    def test_or_is_broken_off_again(
        self, supervising: Supervisor, workers: Workers, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.fail(supervising, workers)
        supervising.restart()
        supervising.tend()
        self.fail(supervising, workers)
        assert caplog.text.count("is broken off") == 2

    def test_of_a_worker_alone_counts(self, workers: Workers) -> None:
        slot = Slot(1, workers.start, HostingSettings(max_restarts=0))
        supervising = Supervisor([slot], clock=lambda: 10.0)
        supervising.tend()
        say_up(workers, slot)
        supervising.restart()
        supervising.tend()
        workers.of[1].code = 0
        supervising.tend()
        self.fail(supervising, workers)
        assert slot.failure is not None


class Listening(Silence):
    """A service manager that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []

    def tell(self, *words: str) -> None:
        self.heard.append(words)


def test_a_service_manager_hears_of_all_workers_by_their_supervisor(workers: Workers) -> None:
    slots = [Slot(number, workers.start, HostingSettings()) for number in (1, 2)]
    manager = Listening()
    supervising = Supervisor(slots, clock=lambda: 10.0, manager=manager)
    supervising.tend()
    assert manager.heard.pop() == ("STATUS=0 of 2 workers are up", "WATCHDOG=1")
    for number in (1, 2):
        workers.of[number].line.may_speak = False
        supervising.tend()
    assert manager.heard == [
        ("STATUS=1 of 2 workers are up", "WATCHDOG=1"),
        ("READY=1", "STATUS=2 of 2 workers are up", "WATCHDOG=1"),
    ]
    workers.of[1].code = KILLED
    supervising.tend()
    assert manager.heard[-1] == ("STATUS=1 of 2 workers are up", "WATCHDOG=1")
    supervising.stop()
    supervising.tend()
    assert ("STOPPING=1",) in manager.heard
