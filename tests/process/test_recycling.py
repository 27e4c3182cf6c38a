"""When a worker has done or taken enough, and what it does then."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from hosting.cancellation import CancellationToken
from hosting.conf import HostingSettings
from hosting.exceptions import ConfigurationError, ServiceStartError
from hosting.host import Host
from hosting.leadership.election import Election
from hosting.leadership.singleton import SingletonService
from hosting.lifetime import HostLifetime
from hosting.process import exits, memory, worker
from hosting.process.memory import MB, resident
from hosting.process.recycling import Limits, Recycling
from hosting.services import HostedService, ServiceState
from hosting.supervision import Policy
from tests.host.helpers import Runner, a_host, assert_no_threads_left, until, until_state
from tests.leadership.conftest import give_back, take_away

PATIENCE = 20.0


class FakeWorker(HostedService):
    """A worker that executes when the test says so."""

    def __init__(self) -> None:
        self.executed = 0
        self.told: Callable[[], object] = lambda: None
        self.was_told_to_end = CancellationToken()
        self.is_done = False

    def when_executed(self, callback: Callable[[], object]) -> None:
        self.told = callback

    def claim_no_more(self) -> None:
        self.was_told_to_end.cancel()

    def execute_jobs(self, count: int) -> None:
        self.executed += count
        self.told()


class Hosted:
    """A host with two such workers, which recycles its process at these limits."""

    def __init__(self, limits: Limits, memory: Callable[[], int] = lambda: MB) -> None:
        self.workers: list[Any] = [FakeWorker(), FakeWorker()]
        # All that chance may add to a limit.
        recycling = Recycling(limits, memory=memory, pick=lambda size: size - 1)
        recycling.watch(lambda: self.workers)
        self.host: Host = a_host(recycling)
        self.code = Runner(lambda: worker.exit_code(self.host))
        self.host.lifetime.started.wait(PATIENCE)

    @property
    def lifetime(self) -> HostLifetime:
        return self.host.lifetime

    def end(self, *, done: bool = True) -> int:
        """Have the workers end their jobs, or else a stop asked for; gives the exit code."""
        for each in self.workers:
            each.is_done = done
        if not done:
            self.lifetime.stop()
        return self.code.result()


def test_jobs_of_all_workers_count_and_a_tenth_more_is_left_to_chance() -> None:
    hosted = Hosted(Limits(jobs=100))
    first, second = hosted.workers
    first.execute_jobs(60)
    second.execute_jobs(49)
    assert not first.was_told_to_end.is_cancelled

    first.execute_jobs(1)
    assert first.was_told_to_end.wait(PATIENCE)
    assert second.was_told_to_end.wait(PATIENCE)
    assert not hosted.lifetime.stop_requested.is_cancelled  # as the jobs in hand go on

    assert hosted.end() == exits.RECYCLE
    assert hosted.lifetime.recycling == "110 jobs were executed"


def test_few_jobs_are_exact() -> None:
    hosted = Hosted(Limits(jobs=9))
    hosted.workers[0].execute_jobs(9)
    hosted.workers[0].was_told_to_end.wait(PATIENCE)
    assert hosted.end() == exits.RECYCLE


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hosting.process.recycling.MEMORY_LOOK", 0.01)
    taken = [100 * MB]
    hosted = Hosted(Limits(memory=100), lambda: taken[-1])
    taken.append(101 * MB)

    assert hosted.workers[0].was_told_to_end.wait(PATIENCE)
    assert hosted.end() == exits.RECYCLE
    assert hosted.lifetime.recycling == "this process takes 101 MB of memory"


def test_a_limit_that_a_process_exceeds_before_its_first_job_is_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else it would be replaced for ever, by others that exceed it as well."""
    host = a_host(Recycling(Limits(memory=100), memory=lambda: 101 * MB))

    with pytest.raises(ServiceStartError) as caught:
        host.start()

    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert str(caught.value.__cause__) == (
        "--max-memory is 100 MB, and this process takes 101 MB before its first job, "
        "allowed: more than that."
    )


def test_a_stop_does_not_wait_for_the_jobs_in_hand() -> None:
    """Those are given the time of a stop, as ever."""
    hosted = Hosted(Limits(jobs=1))
    hosted.workers[0].execute_jobs(1)
    hosted.workers[0].was_told_to_end.wait(PATIENCE)
    assert hosted.end(done=False) == exits.CLEAN


def test_a_stop_before_any_limit_is_reached() -> None:
    assert Hosted(Limits(jobs=1)).end(done=False) == exits.CLEAN


def test_a_failure_counts_more_than_the_wish_to_be_replaced() -> None:
    hosted = Hosted(Limits(jobs=1))
    hosted.lifetime.recycle("it has grown")
    hosted.lifetime.escalate("a service failed")
    assert hosted.code.result() == exits.FAILED


def test_the_reason_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hosting")
    hosted = Hosted(Limits())
    hosted.lifetime.recycle("it has grown")
    assert hosted.code.result() == exits.RECYCLE
    assert "The worker has stopped to be replaced: it has grown" in caplog.messages


@pytest.mark.django_db(transaction=True)
class TestASingleton:
    """It has another instance in its next term."""

    @pytest.fixture
    def terms(self) -> list[FakeWorker]:
        """The instances that were made, one for each term."""
        return []

    @pytest.fixture
    def start(self, terms: list[FakeWorker]) -> Iterator[Callable[..., tuple[Host, Runner]]]:
        started: list[tuple[Host, Runner]] = []

        def make() -> FakeWorker:
            terms.append(FakeWorker())
            return terms[-1]

        def start(recycling: Recycling) -> tuple[Host, Runner]:
            election = Election(1)
            singleton = SingletonService(make, "a", Policy(), election, HostingSettings())
            host = a_host(election, singleton, recycling)
            recycling.watch(lambda: cast(Any, host.instances(FakeWorker)))
            started.append((host, Runner(lambda: worker.exit_code(host))))
            until_state(host, "a", ServiceState.RUNNING)
            return started[-1]

        yield start
        for host, _ in started:
            host.stop()
        assert_no_threads_left()

    def begin_another_term(self, terms: list[FakeWorker], host: Host) -> None:
        count = len(terms)
        take_away()
        until_state(host, "a", ServiceState.STANDBY)
        give_back()
        until(lambda: len(terms) > count)
        until_state(host, "a", ServiceState.RUNNING)

    def test_counts_in_all_terms(
        self, start: Callable[..., tuple[Host, Runner]], terms: list[FakeWorker]
    ) -> None:
        host, code = start(Recycling(Limits(jobs=3), pick=lambda _: 0))
        terms[0].execute_jobs(1)
        self.begin_another_term(terms, host)

        terms[1].execute_jobs(1)
        assert not terms[1].was_told_to_end.is_cancelled
        terms[1].execute_jobs(1)
        assert terms[1].was_told_to_end.wait(PATIENCE)
        terms[1].is_done = True

        assert code.result() == exits.RECYCLE
        assert host.lifetime.recycling == "3 jobs were executed"

    def test_ends_the_jobs_of_its_term(
        self,
        start: Callable[..., tuple[Host, Runner]],
        terms: list[FakeWorker],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("hosting.process.recycling.MEMORY_LOOK", 0.01)
        taken = [MB]
        host, code = start(Recycling(Limits(memory=1), memory=lambda: taken[-1]))
        self.begin_another_term(terms, host)
        terms[0].is_done = True
        taken.append(2 * MB)
        assert terms[1].was_told_to_end.wait(PATIENCE)
        self.begin_another_term(terms, host)  # while the end is under way, it claims nothing either

        assert terms[2].was_told_to_end.is_cancelled
        assert not host.lifetime.stop_requested.is_cancelled
        terms[2].is_done = True
        assert code.result() == exits.RECYCLE


class TestTheMemoryOfThisProcess:
    def test_grows(self) -> None:
        before = resident()
        ballast = b"\1" * (50 * MB)
        assert 40 * MB < resident() - before < 500 * MB
        del ballast

    def test_is_the_same_where_only_ps_knows_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        known = resident()
        monkeypatch.setattr(memory, "STATM", "/proc/nowhere")
        assert abs(resident() - known) < known / 2

    def test_is_an_error_where_nobody_knows_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(memory, "STATM", "/proc/nowhere")
        monkeypatch.setattr(memory.os, "getpid", lambda: 0)
        with pytest.raises(OSError, match="ps does not say"):
            resident()
